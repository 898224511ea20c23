//! Tests of advice: the words of other frameworks, and words that nobody knows.

use super::{NET, read, refusal};

#[test]
fn a_word_of_another_framework_finds_its_key() {
    let table = [
        ("optimizer.learning_rate=1", "did you mean 'optimizer.lr'?"),
        ("optimizer_b.learning_rate=1", "did you mean 'optimizer_b.lr'?"),
        ("learning_rate=1", "did you mean 'optimizer.lr'?"),
        ("learningRate=1", "did you mean 'optimizer.lr'?"),
        ("train.learning-rate=1", "did you mean 'optimizer.lr'?"),
        ("lr=1", "did you mean 'optimizer.lr'?"),
        ("optim.lr=1", "did you mean 'optimizer.lr'?"),
        ("optimizer.sgd.lr=1", "did you mean 'optimizer.lr'?"),
        ("optimizer.nesterov_momentum=0.9", "did you mean 'optimizer.nesterov' or 'optimizer.momentum'?"),
        ("wd=1", "did you mean 'optimizer.weight_decay'?"),
        ("optimizer_b.wd=1", "did you mean 'optimizer_b.weight_decay'?"),
        ("optimizer.weight_decay_rate=1", "did you mean 'optimizer.weight_decay'?"),
        ("optimizer.decay=1", "did you mean 'optimizer.weight_decay'?"),
        ("l2=1", "did you mean 'optimizer.weight_decay'?"),
        ("optimizer.betas=[1]", "did you mean 'optimizer.beta1' or 'optimizer.beta2'?"),
        ("optimizer.epsilon=1", "did you mean 'optimizer.eps'?"),
        ("optimizer.type=adam", "did you mean 'optimizer.name'?"),
        ("optim=adam", "did you mean 'optimizer.name'?"),
        ("scheduler.name=cosine", "did you mean 'optimizer.schedule'?"),
        ("optim.type=adam", "did you mean 'optimizer.name'?"),
        ("network.name=mlp", "did you mean 'model.name'?"),
        ("modle.name=mlp", "did you mean 'model.name'?"),
        ("name=mlp", "did you mean 'model.name', 'rule.name' or 'optimizer.name'?"),
        ("optimizer=adam", "it must be a table; did you mean 'optimizer.name'?"),
        ("optimizer.scheduler=cosine", "did you mean 'optimizer.schedule'?"),
        ("train.lr_scheduler=cosine", "did you mean 'optimizer.schedule'?"),
        ("train.warmup_steps=5", "did you mean 'optimizer.warmup_epochs', which counts epochs?"),
        ("optimizer.milestones=[3]", "did you mean 'optimizer.boundaries', which counts epochs"),
        ("optimizer.gamma=0.1", "did you mean 'optimizer.factor'?"),
        ("train.batch_size=64", "did you mean 'train.batch'?"),
        ("batchSize=64", "did you mean 'train.batch'?"),
        ("bs=64", "did you mean 'train.batch'?"),
        ("num_epochs=3", "did you mean 'train.epochs'?"),
        ("train.n_epochs=3", "did you mean 'train.epochs'?"),
        ("trainer.max_epochs=3", "did you mean 'train.epochs'?"),
        ("model.epochs=3", "did you mean 'train.epochs'?"),
        ("epochs=3", "did you mean 'train.epochs'?"),
        ("max_iters=3", "did you mean 'train.max_steps'?"),
        ("train.label_smoothing_factor=0.1", "did you mean 'train.label_smoothing'?"),
        ("random_seed=3", "did you mean 'seed'?"),
        ("train.seed=3", "did you mean 'seed'?"),
        ("manual_seed=3", "did you mean 'seed'?"),
        ("model.num_classes=3", "did you mean 'model.classes'?"),
        ("model.type=mlp", "did you mean 'model.name'?"),
        ("model.hidden_size=3", "did you mean 'model.width', for a named model"),
        (
            "model.zero_init_residual=true",
            "did you mean 'model.last_gamma', the scale of each block's last norm",
        ),
        ("data.name=mnist", "did you mean 'data.kind'?"),
        ("dataset=mnist", "did you mean 'data.kind'?"),
        ("data.root=here", "did you mean 'data.path'?"),
        ("num_workers=2", "did you mean 'data.workers'?"),
        ("data.prefetch_factor=2", "did you mean 'data.prefetch', which counts microbatches?"),
        ("data.augmentation=true", "did you mean 'data.augment'?"),
        ("rule.type=fa", "did you mean 'rule.name'?"),
        ("rule=fa", "it must be a table; did you mean 'rule.name'?"),
        ("data=mnist", "it must be a table; did you mean 'data.kind'?"),
        ("rule.layers.middle=fa", "it must be a table; did you mean 'rule.layers.middle.name'?"),
        ("rule.middle.amp=1", "did you mean 'rule.layers.middle.amp'?"),
        ("rule.layer.middle.amp=1", "did you mean 'rule.layers.middle.amp'?"),
        ("rule.layers.middle.noise_std=1", "did you mean 'rule.layers.middle.noise_sigma'?"),
        ("train.checkpoint_every=3", "did you mean 'snapshot.every_steps'?"),
        ("train.num_microbatches=3", "did you mean 'pipeline.microbatches'?"),
        ("train.gradient_accumulation_steps=3", "did you mean 'pipeline.microbatches', the number of parts"),
        ("split_weights=true", "did you mean 'pipeline.placement'?"),
        ("train.amp=true", "did you mean 'node.precision'?"),
        ("train.precision=bf16", "did you mean 'node.precision'?"),
        ("gpus=2", "unknown key 'gpus' in --set: did you mean 'node.device', the devices of local nodes"),
        ("train.devices=2", "other nodes are started with `layer-node serve --device`"),
        ("num_stages=3", "did you mean 'pipeline.stages'?"),
        (
            "train.max_grad_norm=1",
            "did you mean 'optimizer.clip', which limits the norm of each tensor's gradient",
        ),
        ("optimizer.loss_scale=8", "did you mean 'train.loss_scale', which stays the same throughout a run?"),
        ("train.base_batch_size=256", "did you mean 'optimizer.lr_batch'?"),
        ("schedule=cosine", "did you mean 'rule.schedule', 'pipeline.schedule' or 'optimizer.schedule'?"),
    ];
    for (set, said) in table {
        let sentence = refusal(&[set]);
        assert!(sentence.contains(said), "{set}: {sentence}");
    }
}

#[test]
fn what_does_not_exist_here_is_told_with_its_reason() {
    let table = [
        ("data.pin_memory=true", "samples are loaded by threads of the coordinator"),
        ("model.dropout=0.5", "there is no dropout; "),
        ("train.loss=mse", "the loss is always the cross-entropy"),
        ("model.n_layers=3", "the number of its [[layer]] tables"),
        ("optimizer.l1=1", "there is no L1 penalty; "),
        ("train.early_stopping=true", "'snapshot.best' keeps its best state"),
        ("train.output_dir=x", "--run-dir DIR"),
        ("loss.name=mse", "the loss is always the cross-entropy"),
    ];
    for (set, said) in table {
        let sentence = refusal(&[set]);
        assert!(sentence.contains(said) && !sentence.contains("did you mean"), "{set}: {sentence}");
    }
}

#[test]
fn what_nobody_knows_gets_no_guess_but_a_list() {
    let table = [
        ("optimizer.zebra=1", ": [optimizer] has the keys name, lr, lr_batch, momentum, nesterov, "),
        ("rule.layers.middle.zebra=1", ": [rule.layers.middle] has the keys name, amp, "),
        ("snapshot.name=x", ": [snapshot] has the keys every_steps, keep_last, best"),
        ("zebra=1", ": there are 'seed', [[layer]] and the tables model, rule, pipeline, staleness, train, "),
        ("zebra.lion=1", ": there are 'seed', [[layer]] and the tables model, "),
    ];
    for (set, said) in table {
        let sentence = refusal(&[set]);
        assert!(sentence.contains(said) && !sentence.contains("did you mean"), "{set}: {sentence}");
    }
}

#[test]
fn a_word_of_another_framework_finds_its_value() {
    let table = [
        ("rule.name=fa", "; did you mean \"feedback_alignment\"?"),
        ("rule.name=kp", "; did you mean \"kolen_pollack\"?"),
        ("rule.name=pfa", "; did you mean \"product_feedback_alignment\"?"),
        ("rule.name=KolenPollack", "; did you mean \"kolen_pollack\"?"),
        ("rule.name=bp", "; did you mean \"backprop\"?"),
        ("rule.name=usf", "; did you mean \"sign_symmetry\", with 'rule.magnitude' = \"uniform\"?"),
        ("rule.name=dfa", "; direct feedback alignment does not exist here"),
        ("rule.layers.middle.name=wm", "; did you mean \"weight_mirror\"?"),
        ("optimizer.name=adamw", "; did you mean \"adam\", whose weight decay is part of the gradient?"),
        ("optimizer.name=sgd_momentum", "; did you mean \"sgd\", with 'optimizer.momentum'"),
        ("optimizer.name=Adam", "; did you mean \"adam\"?"),
        ("optimizer.schedule=cosine_annealing", "; did you mean \"cosine\"?"),
        ("optimizer.schedule=MultiStepLR", "; did you mean \"step\"?"),
        ("optimizer_b.schedule=none", "; did you mean \"constant\"?"),
        ("data.kind=mnist", "; did you mean \"idx\", with 'data.path' and 'model.classes'?"),
        ("data.kind=ImageNet", "; did you mean \"image_folder\", with 'model.classes'?"),
        ("data.kind=cifar-10", "; did you mean \"cifar10\"?"),
        ("data.kind=cifar", "; did you mean \"cifar10\" or \"cifar100\"?"),
        ("data.kind=fashion-mnist", "; did you mean \"fashion_mnist\"?"),
        ("network.wire=float16", "; did you mean \"f16\"?"),
        ("network.wire=half", "; did you mean \"f16\"?"),
        ("network.wire=bfloat16", "; did you mean \"bf16\"?"),
        ("pipeline.schedule=1f1b", "; did you mean \"one_f_one_b\"?"),
        ("pipeline.schedule=PipeMare", "; did you mean \"asynchronous\"?"),
        ("pipeline.schedule=ZB-H1", "; did you mean \"zero_bubble\"?"),
        (
            "pipeline.schedule=cosine",
            "; \"cosine\" is a value of 'rule.schedule', 'optimizer.schedule' or 'optimizer.weight_decay_schedule'",
        ),
        ("pipeline.placement=separate", "; did you mean \"split\"?"),
        ("pipeline.stages=per-layer", "; did you mean \"per_layer\"?"),
        ("model.name=resnet-18", "; did you mean \"resnet18\"?"),
        (
            "optimizer.lr=cosine",
            "; \"cosine\" is a value of 'rule.schedule', 'optimizer.schedule' or 'optimizer.weight_decay_schedule'",
        ),
    ];
    for (set, said) in table {
        let sentence = refusal(&[set]);
        assert!(sentence.contains(said), "{set}: {sentence}");
    }
    for far in
        ["optimizer.name=rmsprop", "rule.name=zebra", "optimizer.schedule=polynomial", "network.wire=posit"]
    {
        assert!(!refusal(&[far]).contains("; "), "{far}: {}", refusal(&[far]));
    }
}

#[test]
fn a_word_of_another_framework_finds_its_layer() {
    let only = |layer: &str| read(&format!("[[layer]]\n{layer}\n{NET}"), &[]).expect_err("refused");
    let table = [
        ("kind = 'linear'\nunits = 3", "a linear: did you mean 'layer.out'?"),
        ("kind = 'conv2d'\nout = 3\nkernel_size = 3", "a conv2d: did you mean 'layer.kernel'?"),
        (
            "kind = 'linear'\nout = 3\nin_features = 3",
            "a linear: it follows from the layer before, so leave it out",
        ),
        ("kind = 'linear'\nout = 3\nactivation = 'relu'", "an activation is a layer of its own"),
        ("kind = 'relu'\nkernel = 3", "a relu: it belongs to conv2d, max_pool, avg_pool"),
        ("kind = 'relu'\nzebra = 3", "a relu: it takes kind, name, input, inputs"),
        ("kind = 'dense'", "; did you mean \"linear\"?"),
        ("kind = 'Conv2D'", "; did you mean \"conv2d\"?"),
        ("kind = 'maxpool'", "; did you mean \"max_pool\"?"),
        ("kind = 'BatchNorm2d'", "; did you mean \"batch_norm\"?"),
        ("kind = 'gelu'", "; the only activation between layers is \"relu\""),
        ("kind = 'dropout'", "; there is no dropout here"),
        ("type = 'relu'", "'layer.kind' of layer 1 in net.toml is missing"),
    ];
    for (layer, said) in table {
        let sentence = only(layer);
        assert!(sentence.contains(said), "{layer}: {sentence}");
    }
}
