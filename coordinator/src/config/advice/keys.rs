//! The words of other frameworks for the keys of a configuration.

use super::{Synonyms, absent, almost, meant};

const DEVICES: &str = ", the devices of local nodes, as in [\"cuda:0\", \"cuda:1\"]; other nodes are started with \
                       `layer-node serve --device`";
const DEPTH: &str =
    "the depth of the network is the number of its [[layer]] tables, or follows from 'model.name'";
const FOLDER: &str = "the command line names the run's folder, by --run-dir DIR or --name NAME";
const RESUME: &str = "the command line resumes a run, by --resume auto or --resume STEP";
const LOADING: &str = "samples are loaded by threads of the coordinator, which last as long as the run";
const EVALUATION: &str = "the test data is evaluated after every epoch and at the end, without a key";
const LOGGED: &str = "every run folder has report.html and files for TensorBoard, without a key";
const DROPOUT: &str = "there is no dropout; 'optimizer.weight_decay' and 'data.augment' regularise";
const STOPPING: &str =
    "a run has no early stopping; 'snapshot.best' keeps its best state, and a sweep has the table [stop]";

/// Keys.
pub(super) const KEYS: &[Synonyms] = &[
    meant(
        "random_seed manual_seed rng_seed global_seed random_state prng_seed prng_key seed_everything",
        "seed",
    ),
    // The optimizers.
    meant(
        "learning_rate learn_rate base_lr init_lr initial_lr lr0 max_lr peak_lr eta eta0 lr_max base_learning_rate \
         initial_learning_rate peak_learning_rate init_value peak_value",
        "optimizer.lr",
    ),
    meant("lr_b b_lr backward_lr lr_backward feedback_lr learning_rate_b", "optimizer_b.lr"),
    meant("step_size", "optimizer.boundaries optimizer.lr"),
    meant("nesterov_momentum", "optimizer.nesterov optimizer.momentum"),
    meant("momentum_factor mom mu sgd_momentum", "optimizer.momentum"),
    meant("use_nesterov nag", "optimizer.nesterov"),
    meant(
        "wd weight_decay_rate l2 l2_reg l2_lambda l2_penalty l2_regularization regularization kernel_regularizer \
         weight_decay_coefficient optimizer.decay optimizer_b.decay train.decay",
        "optimizer.weight_decay",
    ),
    absent(
        "l1 l1_reg l1_lambda l1_penalty",
        "optimizer.weight_decay",
        "there is no L1 penalty; \
         'optimizer.weight_decay' is an L2 penalty",
    ),
    meant("betas adam_betas", "optimizer.beta1 optimizer.beta2"),
    meant("b1 adam_beta1", "optimizer.beta1"),
    meant("b2 adam_beta2", "optimizer.beta2"),
    meant("epsilon adam_epsilon adam_eps", "optimizer.eps"),
    meant("optim opt optimizer_name optimizer_type optim_name solver", "optimizer.name"),
    absent(
        "dampening amsgrad maximize decoupled_weight_decay",
        "optimizer.name",
        "the optimizers here, plain sgd \
         and adam, have no such option",
    ),
    almost(
        "clip_norm max_norm max_grad_norm grad_clip clip_grad gradient_clip gradient_clip_val \
         gradient_clipping gradient_clip_norm clip_grad_norm grad_clip_norm grad_norm clip_value \
         global_clipnorm",
        "optimizer.clip",
        ", which limits the norm of each tensor's gradient and none of all tensors",
    ),
    absent("ema ema_decay use_ema swa lookahead", "optimizer.lr", "weights are not averaged over steps"),
    almost(
        "loss_scale loss_scaling grad_scaler",
        "train.loss_scale",
        ", which stays the same throughout a run",
    ),
    meant(
        "reference_batch base_batch base_batch_size lr_batch_size scale_lr auto_scale_lr linear_scaling",
        "optimizer.lr_batch",
    ),
    // The learning rate's course.
    meant(
        "scheduler scheduler_name scheduler_type lr_scheduler lr_schedule lr_scheduler_type lr_decay lr_policy \
         lr_schedule_type learning_rate_schedule learning_rate_decay sched",
        "optimizer.schedule",
    ),
    almost(
        "warmup warmup_steps num_warmup_steps warmup_iters warmup_iterations warmup_ratio warmup_proportion \
         warmup_fraction warmup_updates lr_warmup lr_warmup_steps lr_warmup_epochs linear_warmup n_warmup",
        "optimizer.warmup_epochs",
        ", which counts epochs",
    ),
    almost(
        "milestones lr_milestones lr_steps decay_epochs lr_decay_epochs step_epochs drop_epochs epochs_drop \
         decay_steps boundaries_and_scales",
        "optimizer.boundaries",
        ", which counts epochs and goes with the schedule \"step\"",
    ),
    meant(
        "gamma lr_gamma drop_rate decay_factor lr_decay_factor lr_factor decay_rate lr_decay_rate",
        "optimizer.factor",
    ),
    absent(
        "t_max t_0 num_training_steps decay_total",
        "train.epochs",
        "the cosine ends with the run, by \
         'train.epochs' or 'train.max_steps'",
    ),
    absent(
        "min_lr eta_min lr_min end_lr final_lr lr_end min_learning_rate end_value",
        "optimizer.schedule",
        "the \
         schedule \"cosine\" ends at 0",
    ),
    // The training.
    meant(
        "num_epochs n_epochs nb_epoch nb_epochs max_epochs max_epoch num_train_epochs total_epochs train_epochs epoch",
        "train.epochs",
    ),
    meant(
        "batch_size bs batch_sz minibatch minibatch_size train_batch_size global_batch_size \
         per_device_train_batch_size",
        "train.batch",
    ),
    almost(
        "eval_batch_size val_batch_size test_batch_size per_device_eval_batch_size",
        "train.batch",
        ", which holds for evaluation too",
    ),
    meant(
        "num_steps n_steps num_train_steps total_steps train_steps max_train_steps max_iters max_iter max_iterations \
         iterations num_iterations num_iters n_iter iters steps",
        "train.max_steps",
    ),
    almost("drop_last drop_remainder last_batch", "train.remainder", ", which takes \"split\" or \"drop\""),
    meant("label_smoothing_factor label_smooth smoothing smoothing_factor", "train.label_smoothing"),
    absent(
        "loss criterion loss_fn loss_function loss_type objective cost",
        "train.epochs",
        "the loss is always the \
         cross-entropy of the softmax over the classes",
    ),
    absent("shuffle shuffle_data", "train.batch", "every epoch is shuffled, by 'seed'"),
    absent(
        "dropout dropout_rate dropout_p drop_prob attention_dropout hidden_dropout drop_path",
        "train.epochs",
        DROPOUT,
    ),
    absent("early_stopping early_stop patience early_stopping_patience", "train.epochs", STOPPING),
    meant(
        "mixed_precision fp16 bf16 tf32 half use_amp autocast dtype torch_dtype param_dtype train.amp \
         trainer.amp training.amp half_precision allow_tf32 float32_matmul_precision",
        "node.precision",
    ),
    absent(
        "eval_every eval_steps eval_interval eval_freq eval_strategy evaluation_strategy val_check_interval \
         check_val_every_n_epoch validation_freq test_interval test_every val_every",
        "train.epochs",
        EVALUATION,
    ),
    absent(
        "deterministic cudnn_deterministic cudnn_benchmark benchmark",
        "seed",
        "the same seed and configuration \
         always give the same bits, without a key",
    ),
    // The network.
    meant(
        "arch architecture backbone net network.name network.type network_name model_type model_class",
        "model.name",
    ),
    meant(
        "num_classes n_classes nb_classes num_labels n_labels nclass output_dim output_size out_dim n_outputs \
         num_outputs",
        "model.classes",
    ),
    almost(
        "img_size image_size input_size resolution image_shape img_shape input_shape",
        "model.image",
        ", the side \
         of the square images",
    ),
    meant("in_chans in_channels num_channels n_channels input_channels", "model.channels"),
    almost(
        "hidden_size hidden_dim hidden_units hidden n_hidden num_hidden base_width base_channels d_model embed_dim \
         width_multiplier",
        "model.width",
        ", for a named model (a [[layer]] has its own 'out')",
    ),
    almost(
        "zero_init_residual zero_init_last zero_init_last_gamma init_residual_zero zero_gamma",
        "model.last_gamma",
        ", the scale of each block's last norm at the start",
    ),
    absent(
        "n_layers num_layers n_layer depth num_hidden_layers n_hidden_layers hidden_layers layers n_blocks \
         num_blocks",
        "model.name",
        DEPTH,
    ),
    absent(
        "activation act act_fn activation_fn nonlinearity hidden_act",
        "model.name",
        "an activation is a layer of \
         its own, [[layer]] with kind = \"relu\"",
    ),
    absent(
        "init weight_init initializer kernel_initializer initializer_range init_std init_scale b_init b_scale \
         feedback_scale",
        "model.name",
        "every [[layer]] with weights has its own 'init_std', for W and B",
    ),
    absent(
        "pretrained init_from finetune_from weights_path load_weights",
        "model.name",
        "`layer-node import` brings \
         weights into a node's state",
    ),
    // The data.
    meant("dataset dataset_name data.name data.dataset data_name task_name", "data.kind"),
    meant(
        "data_dir data_path dataset_path dataset_dir data_root root root_dir data_folder folder",
        "data.path",
    ),
    meant(
        "max_train_samples max_samples n_samples num_samples num_train n_train train_size subset train_limit samples \
         num_examples limit_train_batches",
        "data.limit",
    ),
    meant(
        "max_eval_samples max_test_samples n_test num_test test_samples test_size limit_val_batches \
         limit_test_batches",
        "data.test_limit",
    ),
    absent(
        "validation_split val_split val_size val_fraction",
        "data.test_limit",
        "a data set has test files of its \
         own, of which 'data.test_limit' samples are used",
    ),
    meant(
        "augmentation augmentations data_augmentation transform transforms random_crop random_flip horizontal_flip",
        "data.augment",
    ),
    meant("train_dir train_folder train_split", "data.train"),
    meant("val_dir val_folder test_dir test_folder", "data.test"),
    meant("crop_size center_crop centre_crop train_crop_size val_crop_size", "data.crop"),
    meant("resize_size val_resize_size shorter_side", "data.resize"),
    meant("crop_scale random_resized_crop rrc_scale", "data.crop_area"),
    meant("color_jitter colour_jitter", "data.jitter"),
    meant("normalize normalization mean_std", "data.mean data.std"),
    meant("pixel_mean image_mean norm_mean", "data.mean"),
    meant("pixel_std image_std norm_std", "data.std"),
    meant(
        "num_workers n_workers loader_workers dataloader_num_workers num_loader_workers num_proc loader_threads",
        "data.workers",
    ),
    almost("prefetch_factor prefetch_count prefetch_batches", "data.prefetch", ", which counts microbatches"),
    meant("label_field json_key label_name", "data.label_key"),
    absent("pin_memory persistent_workers", "data.workers", LOADING),
    absent(
        "download",
        "data.path",
        "`cargo xtask demo` fetches Fashion-MNIST; other data is put into 'data.path' by \
         hand",
    ),
    // The rule.
    meant("learning_rule rule_name feedback credit_assignment learning_algorithm backward_rule", "rule.name"),
    meant("noise_std noise_scale noise_stddev noise_sd sigma", "rule.noise_sigma"),
    meant("noise_samples noise_size", "rule.noise_batch"),
    meant("mirror_steps mirror_warmup pretrain_steps", "rule.mirror_delay"),
    meant("mirror_interval mirror_freq mirror_period", "rule.mirror_every"),
    // The pipeline and the nodes.
    meant(
        "num_stages n_stages nodes num_nodes n_nodes world_size num_partitions n_partitions partitions \
         partition pp pp_size pipeline_parallel_size nproc_per_node num_processes split splits split_points \
         split_at cuts cut balance",
        "pipeline.stages",
    ),
    meant("placements split_weights split_b separate_b", "pipeline.placement"),
    meant("pipeline_schedule schedule_type pp_schedule", "pipeline.schedule"),
    meant("num_microbatches n_microbatches chunks", "pipeline.microbatches"),
    almost(
        "microbatch microbatch_size gradient_accumulation_steps accumulation_steps \
         accumulate_grad_batches gradient_accumulation grad_accum accum_steps",
        "pipeline.microbatches",
        ", the \
         number of parts into which 'train.batch' is cut",
    ),
    meant(
        "checkpointing gradient_checkpointing activation_checkpointing grad_checkpoint use_checkpoint remat \
         recomputation",
        "pipeline.recompute",
    ),
    almost(
        "devices device_type gpu gpus gpu_ids num_gpus n_gpu n_gpus accelerator cuda use_cuda no_cuda tpu_cores \
         num_devices local_rank",
        "node.device",
        DEVICES,
    ),
    meant("deterministic_algorithms use_deterministic_algorithms cudnn_deterministic", "node.deterministic"),
    meant(
        "n_threads num_threads intra_op_threads omp_num_threads cpus num_cpus n_cpus cores num_cores",
        "node.threads",
    ),
    meant("wire_dtype wire_format wire_precision comm_dtype communication_dtype compression", "network.wire"),
    almost(
        "backend dist_backend distributed_backend process_group_backend shared_memory shm use_shm ipc",
        "network.transport",
        ", which says what carries the links between processes",
    ),
    meant("block_size group_size quant_block_size quantization_block_size", "network.wire_block"),
    meant("error_compensation residual_feedback memory_compensation", "network.error_feedback"),
    meant("timeout message_timeout ddp_timeout", "network.message_deadline"),
    meant("connect_timeout connection_timeout dist_timeout", "network.connect_deadline"),
    absent(
        "address addresses host hosts port ports master_addr master_port listen",
        "network.wire",
        "the command \
         line names the nodes, by --nodes HOST:PORT,… or --nodes unix:PATH,…",
    ),
    // Records.
    meant(
        "checkpoint_every checkpoint_interval checkpoint_freq checkpoint_steps ckpt_every save_every save_steps \
         save_interval save_freq save_every_n_steps every_n_steps every_n_train_steps snapshot_every",
        "snapshot.every_steps",
    ),
    meant(
        "save_total_limit max_to_keep keep_last_n keep_checkpoint_max save_top_k keep",
        "snapshot.keep_last",
    ),
    meant("save_best save_best_only keep_best load_best_model_at_end", "snapshot.best"),
    almost(
        "log_every log_interval log_freq log_steps logging_steps log_every_n_steps print_freq print_every",
        "metrics.layers_every",
        ", which counts steps between measurements of B against W (losses are written at every step)",
    ),
    absent(
        "output_dir out_dir save_dir log_dir run_dir work_dir results_dir checkpoint_dir ckpt_dir \
         default_root_dir run_name experiment experiment_name exp_name project",
        "seed",
        FOLDER,
    ),
    absent("resume resume_from resume_from_checkpoint ckpt_path load_from restore", "seed", RESUME),
    absent("wandb use_wandb tensorboard report_to logger logging verbose log_level", "seed", LOGGED),
];
