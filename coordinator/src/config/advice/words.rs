//! The words of other frameworks for the keys of a layer, for the words of enumerations, and for the keys of a sweep.

use super::{Synonyms, absent, almost, meant};

/// Keys of a `[[layer]]`.
pub(super) const LAYERS: &[Synonyms] = &[
    meant(
        "out_channels out_features out_dim output_dim n_out num_filters filters units num_units neurons features channels \
         width hidden_size planes nodes size",
        "layer.out",
    ),
    absent(
        "in_channels in_features in_dim input_dim input_shape input_size n_in inplanes",
        "layer.kind",
        "it follows \
         from the layer before, so leave it out",
    ),
    meant("kernel_size filter_size pool_size window_size ksize window k", "layer.kernel"),
    meant("strides step", "layer.stride"),
    meant("pad pads", "layer.padding"),
    meant("use_bias with_bias has_bias", "layer.bias"),
    meant("type op layer_type class module", "layer.kind"),
    meant("label id alias", "layer.name"),
    meant("from inbound parent prev previous bottom", "layer.input"),
    meant(
        "std sigma init weight_init initializer kernel_initializer init_scale weight_std",
        "layer.init_std",
    ),
    meant("epsilon", "layer.eps"),
    meant("mom", "layer.momentum"),
    meant("scale init_gamma gamma_init", "layer.gamma"),
    absent(
        "activation act nonlinearity",
        "layer.kind",
        "an activation is a layer of its own, [[layer]] with kind = \
         \"relu\"",
    ),
    absent(
        "norm bn batch_norm",
        "layer.kind",
        "a norm is a layer of its own, [[layer]] with kind = \
         \"batch_norm\"",
    ),
    absent(
        "dilation dilation_rate dilations groups depth_multiplier",
        "layer.kind",
        "convolutions here have neither \
         dilation nor groups",
    ),
    absent("rule learning_rule", "layer.kind", "the rule of the layer NAME stands in [rule.layers.NAME]"),
    absent(
        "lr learning_rate",
        "layer.kind",
        "all layers share the learning rates, 'optimizer.lr' of W and \
         'optimizer_b.lr' of B",
    ),
    absent("weight_decay wd l2", "layer.kind", "all layers share 'optimizer.weight_decay'"),
    absent("trainable requires_grad frozen freeze", "layer.kind", "every layer with weights trains"),
    absent("stage device node host", "layer.kind", "'pipeline.stages' names the layers that begin a stage"),
    absent("dropout", "layer.kind", "there is no dropout"),
];

const NO_DROPOUT: &str = "there is no dropout here";

/// Words of enumerations.
pub(super) const VALUES: &[Synonyms] = &[
    // Rules.
    meant("bp backpropagation", "backprop"),
    meant("fa feedback random_feedback fixed_feedback", "feedback_alignment"),
    absent(
        "dfa direct_feedback_alignment",
        "feedback_alignment",
        "direct feedback alignment does not exist here, and \
         \"feedback_alignment\" sends the error through every layer",
    ),
    meant("ss signs sign sign_symmetric", "sign_symmetry"),
    almost("usf", "sign_symmetry", ", with 'rule.magnitude' = \"uniform\""),
    almost("brsf", "sign_symmetry", ", with 'rule.magnitude' = \"redrawn\""),
    almost("frsf", "sign_symmetry", ", with 'rule.magnitude' = \"fixed\""),
    meant("sa symmetric", "symmetric_alignment"),
    meant("kp kolen", "kolen_pollack"),
    meant("pfa product product_alignment", "product_feedback_alignment"),
    meant("wm mirror", "weight_mirror"),
    meant("ia information", "information_alignment"),
    meant("aa", "activation_alignment"),
    absent(
        "target_propagation target_prop difference_target_propagation equilibrium_propagation forward_forward \
         predictive_coding hebbian stdp pepita",
        "feedback_alignment",
        "only rules that send an error back through a B exist \
         here",
    ),
    // Magnitudes, noise, centring.
    meant("usf", "uniform"),
    meant("brsf random redraw", "redrawn"),
    meant("frsf constant", "fixed"),
    meant("gaussian gauss randn", "normal"),
    meant("per_sample instance", "sample"),
    meant("per_batch", "batch"),
    meant("activations x", "activation"),
    // Optimizers and schedules.
    almost("adamw", "adam", ", whose weight decay is part of the gradient"),
    almost(
        "momentum sgd_momentum sgdm nesterov nag msgd",
        "sgd",
        ", with 'optimizer.momentum' and \
         'optimizer.nesterov'",
    ),
    meant(
        "cosine_annealing cosine_decay cosine_annealing_lr cosine_lr cosine_schedule cosine_with_warmup warmup_cosine \
         cos half_cosine",
        "cosine",
    ),
    meant("none no off const constant_lr constant_with_warmup flat", "constant"),
    meant("multistep multistep_lr step_lr steps step_decay piecewise piecewise_constant staircase", "step"),
    // Number formats.
    meant("float32 fp32 float single", "f32"),
    meant("float16 fp16 half", "f16"),
    meant("i8 qint8 8bit int8_blockwise blockwise", "int8"),
    meant("bfloat16 bfloat mixed bf16_mixed amp", "bf16"),
    meant("tensorfloat32 tensorfloat", "tf32"),
    // Pipelines.
    meant("apart separate separated", "split"),
    meant("colocated joint same_host one_host", "together"),
    meant("1f1b pipedream_flush", "one_f_one_b"),
    meant("async no_flush pipedream pipedream_2bw pipemare petra asyncpp", "asynchronous"),
    meant("zb zbh1 zb1p zero_bubble_h1 interleaved_zero_bubble zbv zbv_zero_bubble", "zero_bubble"),
    meant("fill_drain afab all_forward_all_backward", "gpipe"),
    meant("layer layers each", "per_layer"),
    meant("block blocks", "per_block"),
    meant("drop_last dropped", "drop"),
    meant("keep", "split"),
    // Data sets and models.
    almost("mnist kmnist emnist usps letters", "idx", ", with 'data.path' and 'model.classes'"),
    meant("fashion fmnist", "fashion_mnist"),
    meant("cifar", "cifar10 cifar100"),
    meant("cnn convnet lenet own", "custom"),
    almost(
        "imagenet imagenet1k ilsvrc2012 tiny_imagenet folder photographs photos images",
        "image_folder",
        ", with 'model.classes'",
    ),
    meant("wds shards tar tars tar_shards", "webdataset"),
    absent("svhn stl10", "fashion_mnist", "files of that format cannot be read yet"),
    // Kinds of layers.
    meant("conv convolution convolutional conv3x3", "conv2d"),
    meant("dense fc fully_connected linear_layer affine gemm", "linear"),
    meant("bn batch_norm2d batch_norm1d batch_normalization", "batch_norm"),
    meant("pool pooling max_pooling max_pooling2d max_pool2d", "max_pool"),
    meant(
        "average_pool average_pooling avg_pool2d mean_pool gap global_pool global_avg_pool global_average_pooling \
         adaptive_avg_pool adaptive_avg_pool2d",
        "avg_pool",
    ),
    meant("flat reshape view", "flatten"),
    meant("residual skip shortcut sum plus", "add"),
    absent(
        "gelu silu swish elu leaky_relu sigmoid tanh prelu mish softplus selu",
        "flatten",
        "the only activation between \
         layers is \"relu\"",
    ),
    absent(
        "softmax log_softmax cross_entropy loss",
        "flatten",
        "the loss applies the softmax, so leave the layer out",
    ),
    absent("dropout dropout2d", "flatten", NO_DROPOUT),
    absent("layer_norm group_norm instance_norm rms_norm norm", "flatten", "the only norm is \"batch_norm\""),
    absent("input", "flatten", "the images are called \"input\" without a layer, so leave it out"),
    absent("concat cat concatenate", "flatten", "values can be added (\"add\"), and not concatenated"),
    // Sweeps.
    meant("grid_search exhaustive product", "grid"),
    meant("random_search uniform", "random"),
    meant("bayes bayesian bayesian_optimization bo optuna hyperopt", "tpe"),
    absent(
        "asha hyperband successive_halving",
        "tpe",
        "early stopping is the table [stop] beside any method",
    ),
    meant("accuracy acc test_accuracy val_accuracy test_acc val_acc top1 max maximize", "test_top1"),
    meant("top5", "test_top5"),
    almost("train_loss training_loss test_loss val_loss min minimize", "loss", ", which is that of training"),
    meant("logarithmic log10 loguniform", "log"),
    meant("lin uniform", "linear"),
];

/// Keys of a sweep.
pub(super) const SWEEPS: &[Synonyms] = &[
    meant(
        "n_trials num_trials max_trials max_evals n_iter num_samples n_runs num_runs runs budget count",
        "trials",
    ),
    meant(
        "n_jobs jobs workers num_workers max_concurrent max_concurrent_trials concurrency parallelism",
        "parallel",
    ),
    meant("search search_method search_alg algorithm algo sampler strategy", "method"),
    meant("metric goal direction mode monitor optimize", "objective"),
    meant(
        "parameters parameter params param param_space search_space config_space hyperparameters hparams grid ranges",
        "space",
    ),
    meant("config base_config configuration template file", "base"),
    meant("early_stopping early_stop early_terminate pruner prune stopping", "stop"),
    meant("fixed common overrides settings constants defaults", "set"),
    meant("arm arms variant variants group groups", "case"),
    meant("threads cpus n_cpus num_cpus num_cores", "cores"),
    meant("n_startup_trials initial_trials warmup_trials", "startup_trials"),
    meant("title study study_name", "name"),
    meant("primitive matrix coefficients", "primitives"),
    // Ranges.
    meant("min minimum lower from start", "low"),
    meant("max maximum upper to end", "high"),
    meant("value choices choice options categorical list any", "values"),
    meant("log distribution", "scale"),
    meant("num n steps count grid number", "points"),
    // Early stopping.
    meant("grace_period min_steps warmup_steps n_warmup_steps", "after_steps"),
    meant("interval interval_steps", "every_steps"),
    meant("min_trials n_startup_trials", "after_trials"),
    // The matrix of the primitives.
    meant("trials n_trials num_trials trials_per_combination", "trials_per_subset"),
    meant("combinations sets", "subsets"),
];
