//! Tests of the rules that a configuration asks for.

use proto::spec::optimizer::{Schedule, Shape};
use proto::spec::rule::{Coefficients, Magnitude, Mirror, Noise, Primitive, Product, RuleSpec};

use super::{NET, read, refusal, set};

/// `--set rule.name=feedback_alignment` on a file that tunes symmetric alignment must not train B.
#[test]
fn another_rule_in_a_flag_puts_the_files_coefficients_aside() {
    let text =
        format!("[rule]\nname = 'symmetric_alignment'\nself = 0.04\n[rule.layers.middle]\nself = 0.5\n{NET}");
    let all = |sets: &[&str]| read(&text, sets).unwrap().rule.all;
    let learned = |name: &str, coefficients| RuleSpec::learned(name, false, coefficients);
    let tuned = Coefficients::new(&[(Primitive::Self_, 0.04), (Primitive::Decay, 1e-3)]);
    assert_eq!(all(&["rule.name=symmetric_alignment"]), learned("symmetric_alignment", tuned));
    let fixed = Coefficients::default();
    assert_eq!(all(&["rule.name=feedback_alignment"]), learned("feedback_alignment", fixed));
    let amp = Coefficients::new(&[(Primitive::Amp, 0.5)]);
    assert_eq!(all(&["rule.amp=0.5", "rule.name=custom"]), learned("custom", amp));
}

#[test]
fn kolen_pollack_needs_one_way_to_step() {
    let with = |sets: &[&str]| set(&[&["rule.name=kolen_pollack"], sets].concat());
    let RuleSpec::Learned { task, coefficients, .. } =
        with(&["optimizer.weight_decay=0.05"]).unwrap().rule.all
    else {
        panic!("learned")
    };
    assert!(task && coefficients.of(Primitive::Decay) == 0.025);
    assert!(with(&["optimizer.weight_decay=0.05", "rule.decay=0.025"]).is_ok());
    for (sets, part) in [
        (
            &["optimizer.weight_decay=0.05", "rule.decay=0.05"][..],
            "needs half of optimizer.weight_decay, 0.025",
        ),
        (&["rule.task=false"], "'rule.task' in --set is false"),
        (&["optimizer_b.lr=0.2"], "'optimizer_b.lr' must be the same as 'optimizer.lr'"),
        (&["optimizer_b.nesterov=false"], "'optimizer_b.nesterov' must be"),
        (&["optimizer_b.schedule=constant"], "'optimizer_b.schedule' must be"),
        (&["optimizer_b.weight_decay=1e-4"], "'optimizer_b.weight_decay' must be 0"),
        (&["optimizer.name=adam"], "'optimizer.name' must be \"sgd\""),
        (&["optimizer_b.name=adam"], "'optimizer_b.name' must be"),
    ] {
        assert!(with(sets).unwrap_err().contains(part), "{:?}", with(sets));
    }
    assert!(set(&["rule.layers.middle.name=kolen_pollack", "optimizer_b.momentum=0"]).is_err());
}

#[test]
fn product_feedback_alignment_lets_r_take_the_steps_of_w() {
    let with = |sets: &[&str]| set(&[&["rule.name=product_feedback_alignment"], sets].concat());
    let config = with(&["optimizer.weight_decay=0.05", "rule.layers.middle.ratio=2.5"]).unwrap();
    let product = |ratio| RuleSpec::Product(Product { ratio, decay: 0.025, schedule: Schedule::default() });
    assert_eq!((&config.rule.all, config.rule.of("middle")), (&product(1.0), &product(2.5)));
    assert_eq!(read(&config.to_toml().unwrap(), &[]).unwrap().rule, config.rule);
    for (sets, part) in [
        (
            &["rule.amp=1"][..],
            "cannot go with the rule product_feedback_alignment, whose R takes the steps of BᵀW",
        ),
        (&["rule.task=true"], "'rule.task' in --set cannot go with the rule product_feedback_alignment"),
        (&["rule.input=noise"], "'rule.input' in --set cannot go with"),
        (&["rule.mirror_every=2"], "'rule.mirror_every' in --set cannot go with"),
        (&["rule.centering=batch"], "'rule.centering' in --set cannot go with"),
        (&["rule.update_noise=1"], "'rule.update_noise' in --set cannot go with"),
        (&["rule.magnitude=fixed"], "'rule.magnitude' in --set cannot go with"),
        (&["rule.schedule=cosine"], "'rule.schedule' and its keys must be left out"),
        (&["rule.decay=0.1"], "product_feedback_alignment needs half of optimizer.weight_decay, 0.00005"),
        (&["rule.ratio=0"], "it must be a number above 0, up to 1024"),
        (&["rule.ratio=1025"], "it must be a number above 0, up to 1024"),
        (&["optimizer_b.lr=0.2"], "which lets R take the steps of BᵀW: 'optimizer_b.lr' must be the same"),
        (
            &["optimizer_b.weight_decay=1e-4"],
            "'optimizer_b.weight_decay' must be 0, not 0.0001: the rule itself decays R",
        ),
        (&["optimizer_b.weight_decay_factor=0.5"], "'optimizer_b.weight_decay_factor' must be the same"),
        (&["optimizer.name=adam"], "'optimizer.name' must be \"sgd\""),
        (
            &["alarm.kolen_pollack=true", "node.precision=bf16"],
            "cannot watch layers under product_feedback_alignment",
        ),
    ] {
        assert!(with(sets).unwrap_err().contains(part), "{:?}", with(sets));
    }
    assert!(with(&["alarm.kolen_pollack=true"]).is_ok() && with(&["node.precision=bf16"]).is_ok());
    let other = refusal(&["rule.name=kolen_pollack", "rule.ratio=2"]);
    assert!(
        other.contains("'rule.ratio' in --set belongs to the rule product_feedback_alignment"),
        "{other}"
    );
    let none = refusal(&["rule.name=feedback_alignment", "alarm.kolen_pollack=true"]);
    assert!(
        none.contains("layers under kolen_pollack or product_feedback_alignment, but no rule is"),
        "{none}"
    );
}

#[test]
fn a_course_of_the_decay_is_checked_as_one_of_the_rate() {
    let with = |sets: &[&str]| set(&[&["rule.name=kolen_pollack"], sets].concat());
    let step = ["optimizer.weight_decay_schedule=step", "optimizer.weight_decay_boundaries=[1, 2]"];
    let config = with(&step).unwrap();
    assert_eq!(config.optimizer_b.decay, config.optimizer.decay, "B's optimizer follows W's");
    for (sets, part) in [
        (
            &["optimizer_b.weight_decay_schedule=step"][..],
            "'optimizer_b.weight_decay_schedule' must be the same",
        ),
        (
            &[step[0], "optimizer.weight_decay_boundaries=[2, 1]"],
            "'optimizer.weight_decay_boundaries' in --set is [2.0, 1.0]: it must ascend",
        ),
        (
            &["optimizer.weight_decay_factor=0.5"],
            "counts only with optimizer.weight_decay_schedule = \"step\" (it is \"constant\")",
        ),
        (
            &["optimizer.weight_decay_schedule=stair"],
            "'optimizer.weight_decay_schedule' in --set is \"stair\"",
        ),
    ] {
        assert!(with(sets).unwrap_err().contains(part), "{:?}", with(sets));
    }
}

#[test]
fn rules_are_what_their_names_and_coefficients_say() {
    assert!(refusal(&["rule.decay=0"]).starts_with("'rule.decay' in --set cannot go with the rule backprop"));
    assert!(refusal(&["rule.name=custom", "rule.amp=0"]).contains("needs a coefficient other than 0"));
    assert!(refusal(&["rule.name=symetric_alignment"]).ends_with("did you mean \"symmetric_alignment\"?"));
    let config =
        set(&["rule.name=activation_alignment", "rule.sparse=1", "rule.layers.middle.amp=3"]).unwrap();
    let network = config.network([1, 6, 6]).unwrap();
    let found = network.layers.iter().filter(|layer| layer.op.is_weight()).map(|layer| match &layer.rule {
        RuleSpec::Learned { name, coefficients: c, .. } => {
            (&*layer.name, &**name, c.of(Primitive::Amp), c.of(Primitive::Sparse))
        }
        other => panic!("{} has {other:?}", layer.name),
    });
    let aa = |layer, amp| (layer, "activation_alignment", amp, 1.0);
    assert_eq!(found.collect::<Vec<_>>(), [aa("conv1", 2e-3), aa("middle", 3.0), aa("linear1", 2e-3)]);
}

#[test]
fn how_a_rule_is_fed_is_checked_and_printed() {
    for (sets, part) in [
        (&["rule.name=sign_symmetry", "rule.amp=1"][..], "cannot go with the rule sign_symmetry"),
        (&["rule.name=custom", "rule.amp=1", "rule.magnitude=fixed"], "belongs to the rule sign_symmetry"),
        (&["rule.name=custom", "rule.amp=1", "rule.noise_sigma=2"], "says nothing unless 'rule.input' is"),
        (&["rule.name=symmetric_alignment", "rule.input=noise"], "of which only amp, null and sparse learn"),
        (
            &["rule.name=symmetric_alignment", "rule.centering=batch"],
            "of which only amp, null and sparse learn",
        ),
        (&["rule.name=feedback_alignment", "rule.update_noise=1"], "the steps of B, which takes none"),
        (&["rule.name=sign_symmetry", "rule.schedule=cosine"], "of which no rule has one"),
        (
            &["rule.name=weight_mirror", "rule.centering=batch", "rule.noise_batch=1"],
            "nothing of a single sample",
        ),
        (
            &[
                "rule.name=activation_alignment",
                "rule.centering=batch",
                "train.batch=7",
                "pipeline.microbatches=4",
            ],
            "nothing of a single sample",
        ),
        (
            &["rule.name=symmetric_alignment", "rule.self=0", "rule.decay=0"],
            "a B that stays as it was drawn is",
        ),
        (&["rule.name=weight_mirror", "rule.amp=0"], "'rule.input' by default is \"noise\", of which only"),
        (&["rule.name=kolen_pollack", "rule.amp=1"], "kolen_pollack has no such term"),
        (&["rule.name=weight_mirror", "rule.mirror_every=0"], "B would never learn"),
        (
            &["rule.name=weight_mirror", "rule.mirror_delay=9", "optimizer_b.name=adam"],
            "needs one mirror step",
        ),
        (
            &["rule.name=kolen_pollack", "rule.schedule=cosine"],
            "'rule.schedule' and its keys must be left out",
        ),
        (
            &["rule.name=kolen_pollack", "rule.update_noise=1", "alarm.kolen_pollack=true"],
            "whose updates of B are noisy",
        ),
        (
            &["rule.name=weight_mirror", "rule.schedule=step", "rule.boundaries=[2, 1]"],
            "'rule.boundaries' in --set is [2.0, 1.0]: it must ascend",
        ),
    ] {
        assert!(refusal(sets).contains(part), "{:?}", refusal(sets));
    }
    let mirror = set(&[
        "rule.name=weight_mirror",
        "rule.noise=uniform",
        "rule.noise_sigma=0.5",
        "rule.mirror_delay=7",
        "rule.centering=batch",
        "rule.activation=tanh",
        "rule.update_noise=0.25",
        "rule.schedule=step",
        "rule.warmup_epochs=0.5",
        "rule.boundaries=[1, 2]",
        "rule.factor=0.5",
        "rule.layers.middle.name=sign_symmetry",
        "rule.layers.middle.magnitude=redrawn",
        "train.batch=30",
    ])
    .unwrap();
    let batch = mirror.train.batch.div_ceil(mirror.pipeline.microbatches);
    let made = Mirror { noise: Noise::Uniform, sigma: 0.5, batch, every: 1, delay: 7 };
    assert_eq!(mirror.rule.all.mirror(), Some(&made));
    assert_eq!(mirror.rule.of("middle"), &RuleSpec::SignSymmetry { magnitude: Magnitude::Redrawn });
    let shape = Shape::Step { boundaries: vec![10, 20], factor: 0.5 };
    assert_eq!(mirror.rule.course.spec(10, 40), Schedule { warmup: 5, shape });
    let again = read(&mirror.to_toml().unwrap(), &[]).unwrap();
    assert_eq!(again.rule, mirror.rule);
}

#[test]
fn clipping_scaling_and_positions_are_refused_where_they_cannot_do_what_they_promise() {
    for (rule, follower) in [("kolen_pollack", "B"), ("product_feedback_alignment", "R")] {
        let rule = format!("rule.name={rule}");
        assert!(set(&[&rule, "alarm.kolen_pollack=true"]).is_ok());
        let refused = refusal(&[&rule, "optimizer.clip=1"]);
        let said = format!(
            "'optimizer.clip' must be 0, not 1: the gradients of W and {follower} have norms of their own"
        );
        assert!(refused.contains(&said), "{refused}");
    }
    let scale = |sets: &[&str]| set(sets).map(|config| config.train.loss_scale);
    assert_eq!([scale(&[]), scale(&["network.wire=bf16"])], [Ok(1.0), Ok(1.0)]);
    assert_eq!(scale(&["network.wire=f16"]), Ok(1024.0));
    assert_eq!(scale(&["network.wire=f16", "train.loss_scale=64"]), Ok(64.0));
    let refused = scale(&["network.wire=f16", "train.loss_scale=1"]).unwrap_err();
    assert!(
        refused.starts_with("'train.loss_scale' in --set is 1, and 'network.wire' is \"f16\""),
        "{refused}"
    );
    assert!(scale(&["train.loss_scale=1000"]).unwrap_err().contains("a power of two from 1 to 16777216"));
    let config = set(&["rule.name=activation_alignment", "rule.per_position=true"]).unwrap();
    let RuleSpec::Learned { alignment, .. } = &config.rule.all else { panic!("learned") };
    assert!(alignment.per_position);
    let idle = refusal(&["rule.name=symmetric_alignment", "rule.per_position=true"]);
    assert!(
        idle.contains("divides the sums over positions, of which only amp, null and sparse learn"),
        "{idle}"
    );
    assert!(refusal(&["rule.per_position=true"]).contains("cannot go with the rule backprop"));
}
