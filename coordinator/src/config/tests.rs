use std::path::Path;

use proto::optimizer::{Schedule, Shape};
use proto::rule::{Coefficients, Magnitude, Mirror, Noise, RuleSpec};
use toml::{Table, Value};

use super::allowed::Allowed;
use super::keys::{ANY_LAYER, KEYS};
use super::nearest::nearest;
use super::{Config, Environment, Stages, load, parse};

/// A network of three weight layers with a skip, for images of 6×6.
const NET: &str = r#"
[[layer]]
kind = "conv2d"
out = 4
kernel = 3
padding = 1
[[layer]]
kind = "batch_norm"
[[layer]]
name = "middle"
kind = "conv2d"
out = 4
kernel = 1
init_std = 0.5
[[layer]]
kind = "add"
inputs = ["middle", "batch_norm1"]
[[layer]]
kind = "avg_pool"
[[layer]]
kind = "flatten"
[[layer]]
kind = "linear"
out = 10
"#;

fn read(text: &str, sets: &[&str]) -> Result<Config, String> {
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    parse(text, "net.toml", &sets, &Environment::empty()).map_err(|error| error.to_string())
}

fn set(sets: &[&str]) -> Result<Config, String> {
    read(NET, sets)
}

fn refusal(sets: &[&str]) -> String {
    set(sets).expect_err("refused")
}

/// One acceptable value per key that has no default of its own.
const UNSET: [&str; 9] = [
    "model.image=6",
    "model.channels=1",
    "train.max_steps=9",
    "data.path=here",
    "data.limit=100",
    "data.test_limit=10",
    "data.mean=[0.1]",
    "data.std=[0.3]",
    "data.augment=true",
];

#[test]
fn what_is_printed_reads_as_the_same_configuration() {
    let rules = ["rule.name=weight_mirror", "rule.layers.middle.amp=0.5", "rule.layers.conv1.name=backprop"];
    let cuts = ["pipeline.stages=[\"middle\"]", "optimizer.schedule=step", "optimizer_b.lr=0.3", "seed=7"];
    for sets in [&[][..], &UNSET, &rules, &cuts, &["rule.name=kolen_pollack", "optimizer.weight_decay=0.05"]]
    {
        let config = set(sets).unwrap();
        let printed = config.to_toml().unwrap();
        assert_eq!(read(&printed, &[]).unwrap(), config, "{printed}");
    }
    // A layer's name may have dots.
    let dotted = ["rule.name=weight_mirror", "rule.layers.mid.d.le.null=0.5"];
    let config = read(&NET.replace("middle", "mid.d.le"), &dotted).unwrap();
    assert!(config.rule.layers.contains_key("mid.d.le"));
    assert_eq!(read(&config.to_toml().unwrap(), &[]).unwrap(), config);
}

#[test]
fn the_table_of_keys_and_the_types_agree() {
    let printed: Table = set(&UNSET).unwrap().to_toml().unwrap().parse().unwrap();
    let has = |path: &str| match path.split_once('.') {
        Some((table, key)) => printed[table].as_table().unwrap().contains_key(key),
        None => printed.contains_key(path),
    };
    for key in KEYS.iter().filter(|key| !key.path.contains(ANY_LAYER) && key.path != "model.width") {
        assert!(has(&key.path) || key.path.starts_with("rule."), "{} is not in the types", key.path);
        let Allowed::Words(words) = key.allowed else { continue };
        for word in words {
            let rule = match key.path.as_str() {
                "rule.name" if *word == "custom" => "rule.task=true",
                "rule.magnitude" => "rule.name=sign_symmetry",
                path if path.starts_with("rule.") && path != "rule.name" => "rule.name=weight_mirror",
                _ => "seed=0",
            };
            let sets = [rule, "model.classes=10"];
            let word = format!("{}={word}", key.path);
            assert!(set(&[&sets[..], &[&word]].concat()).is_ok(), "{word} is in the table only");
        }
    }
    for (table, value) in &printed {
        let keys = value.as_table().into_iter().flat_map(Table::keys);
        for key in keys {
            let path = format!("{table}.{key}");
            assert!(KEYS.iter().any(|key| key.path == path), "{path} is not in the table of keys");
        }
    }
}

#[test]
fn every_key_with_a_letter_dropped_finds_its_way_back() {
    let all: Vec<&str> = KEYS.iter().map(|key| key.path.as_str()).collect();
    for key in &all {
        let own = key.find(ANY_LAYER).map_or(0, |at| at + ANY_LAYER.len() + 1);
        for at in (own..key.len()).filter(|at| key.as_bytes()[*at] != b'.') {
            let wrong = format!("{}{}", &key[..at], &key[at + 1..]);
            let near = nearest(&wrong, all.iter().copied()).unwrap();
            // beta1 and beta2 are equally near to beta.
            assert_eq!(near.trim_end_matches(['1', '2']), key.trim_end_matches(['1', '2']), "{wrong}");
            if !wrong.ends_with('.') {
                let sentence = refusal(&[&format!("{wrong}=1").replace(ANY_LAYER, "middle")]);
                let near = near.replace(ANY_LAYER, "middle");
                assert!(
                    sentence.starts_with("unknown key '")
                        && sentence.ends_with(&format!("did you mean '{near}'?"))
                );
            }
        }
    }
}

#[test]
fn every_refusal_is_a_sentence_that_says_where_and_what_is_allowed() {
    for (sets, sentence) in [
        ("train.batc=1", "unknown key 'train.batc' in --set: did you mean 'train.batch'?"),
        ("epochs=1", "unknown key 'epochs' in --set: did you mean 'train.epochs'?"),
        (
            "rule.layers.middle.apm=1",
            "unknown key 'rule.layers.middle.apm' in --set: did you mean 'rule.layers.middle.amp'?",
        ),
        ("optimizer.lr=fast", "'optimizer.lr' in --set is \"fast\": it must be a number, 0 or more"),
        ("optimizer.lr=nan", "'optimizer.lr' in --set is nan: it must be a number, 0 or more"),
        ("optimizer.momentum=1", "'optimizer.momentum' in --set is 1: it must be a number from 0 to below 1"),
        ("optimizer=3", "'optimizer' in --set is 3: it must be a table"),
        ("seed=-1", "'seed' in --set is -1: it must be a whole number, 0 or more"),
        (
            "pipeline.microbatches=0",
            "'pipeline.microbatches' in --set is 0: it must be a whole number from 1 to 4096",
        ),
        (
            "pipeline.schedule=gpip",
            "'pipeline.schedule' in --set is \"gpip\": it must be \"gpipe\" or \"one_f_one_b\"; did you mean \"gpipe\"?",
        ),
        (
            "pipeline.stages=per_leyer",
            "'pipeline.stages' in --set is \"per_leyer\": it must be a number of stages, \"per_layer\", \"per_block\", or \
             a list of the layers that begin a new stage",
        ),
        ("data.mean=[]", "'data.mean' in --set is []: it must be a list of numbers"),
        ("train.batch", "'train.batch' in --set is not of the form key=value"),
        (
            "pipeline.microbatches=200",
            "'pipeline.microbatches' in --set is 200, more than the 128 samples of 'train.batch'",
        ),
        (
            "rule.layers.mid.name=backprop",
            "'rule.layers.mid' names no layer with weights of the network in net.toml: did you mean 'middle'?",
        ),
        (
            "pipeline.stages=[\"conv2\"]",
            "'pipeline.stages' names 'conv2', which is no layer in net.toml: did you mean 'conv1'?",
        ),
        (
            "pipeline.stages=[\"conv1\"]",
            "'pipeline.stages' names 'conv1', which is the first layer in net.toml: the first stage begins there anyway",
        ),
        (
            "pipeline.stages=[\"add1\", \"middle\"]",
            "'pipeline.stages' names 'middle', which does not come after the cut before it in net.toml",
        ),
        ("optimizer.boundaries=[2, 1]", "'optimizer.boundaries' in --set is [2.0, 1.0]: it must ascend"),
        (
            "data.kind=idx",
            "'model.classes' in net.toml is missing: 'data.kind' \"idx\" does not say how many there are",
        ),
    ] {
        assert_eq!(refusal(&[sets]), sentence);
    }
    assert_eq!(
        read("seed = 1\n[train]\nbatch == 3", &[]).unwrap_err().split(": ").next(),
        Some("net.toml is not TOML at line 3, column 8")
    );
    assert!(
        load(Path::new("no/such.toml"), &[], &Environment::empty())
            .unwrap_err()
            .to_string()
            .contains("no/such.toml")
    );
}

#[test]
fn layers_are_refused_by_their_place() {
    let only = |layer: &str| read(&format!("[[layer]]\nname = 'one'\n{layer}"), &[]).expect_err("refused");
    let place = "of layer 1 ('one') in net.toml";
    assert!(only("").starts_with(&format!("'layer.kind' {place} is missing: it must be \"conv2d\", ")));
    assert!(only("kind = 'con2d'").ends_with("; did you mean \"conv2d\"?"));
    assert_eq!(
        only("kind = 'conv2d'\nkernal = 3"),
        format!("unknown key 'layer.kernal' {place}, a conv2d: did you mean 'layer.kernel'?")
    );
    assert!(
        only("kind = 'relu'\nkernel = 3").starts_with(&format!("unknown key 'layer.kernel' {place}, a relu"))
    );
    assert_eq!(only("kind = 'linear'"), format!("'layer.out' {place} is missing: a linear needs it"));
    assert!(only("kind = 'relu'\ninput = 'inputt'").ends_with("did you mean 'input'?"));
    assert!(only("kind = 'avg_pool'\nstride = 2").contains("needs 'layer.kernel'"));
    assert!(read("layer = 3", &[]).unwrap_err().contains("write [[layer]] above each"));
    assert!(read("[layer]\nkind = 'relu'", &[]).unwrap_err().contains("write [[layer]] above each"));
    assert!(read("", &[]).unwrap_err().contains("there is no [[layer]]"));
}

#[test]
fn flags_come_before_the_environment_and_the_file() {
    let text = format!("seed = 1\ntrain.batch = 32\ndata.path = 'mine'\n{NET}");
    let environment =
        Environment { data: Some(Path::new("/sets")), exists: &|path| path.starts_with("/sets") };
    let path = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
        parse(&text, "net.toml", &sets, &environment).unwrap().data.path.display().to_string()
    };
    assert_eq!(path(&[]), "/sets/mine");
    assert_eq!(path(&["data.path=there"]), "there");
    let config = read(&text, &["seed=2", "pipeline.stages=per_block", "seed=3"]).unwrap();
    assert_eq!((config.seed, config.train.batch, config.pipeline.stages), (3, 32, Stages::PerBlock));
    assert_eq!(read(&text, &["optimizer.lr=0.5"]).unwrap().optimizer_b.lr, 0.5);
    assert_eq!(set(&[]).unwrap().optimizer_b.weight_decay, 0.0);
}

/// `--set rule.name=feedback_alignment` on a file that tunes symmetric alignment must not train B.
#[test]
fn another_rule_in_a_flag_puts_the_files_coefficients_aside() {
    let text =
        format!("[rule]\nname = 'symmetric_alignment'\nself = 0.04\n[rule.layers.middle]\nself = 0.5\n{NET}");
    let all = |sets: &[&str]| read(&text, sets).unwrap().rule.all;
    let learned = |name: &str, coefficients| RuleSpec::Learned {
        name: name.into(),
        task: false,
        coefficients,
        alignment: Default::default(),
    };
    let tuned = Coefficients { self_: 0.04, decay: 1e-3, ..Coefficients::default() };
    assert_eq!(all(&["rule.name=symmetric_alignment"]), learned("symmetric_alignment", tuned));
    let fixed = Coefficients::default();
    assert_eq!(all(&["rule.name=feedback_alignment"]), learned("feedback_alignment", fixed));
    let amp = Coefficients { amp: 0.5, ..fixed };
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
    assert!(task && coefficients.decay == 0.025);
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
fn rules_are_what_their_names_and_coefficients_say() {
    assert!(refusal(&["rule.decay=0"]).starts_with("'rule.decay' in --set cannot go with the rule backprop"));
    assert!(refusal(&["rule.name=custom", "rule.amp=0"]).contains("needs a coefficient other than 0"));
    assert!(refusal(&["rule.name=symetric_alignment"]).ends_with("did you mean \"symmetric_alignment\"?"));
    let config =
        set(&["rule.name=activation_alignment", "rule.sparse=1", "rule.layers.middle.amp=3"]).unwrap();
    let network = config.network([1, 6, 6]).unwrap();
    let found = network.layers.iter().filter(|layer| layer.op.is_weight()).map(|layer| match &layer.rule {
        RuleSpec::Learned { name, coefficients: c, .. } => (&*layer.name, &**name, c.amp, c.sparse),
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
        (&["rule.name=weight_mirror", "rule.schedule=step", "rule.boundaries=[2, 1]"], "it must ascend"),
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
    assert_eq!(mirror.rule.of("middle"), &RuleSpec::SignSymmetry(Magnitude::Redrawn));
    let shape = Shape::Step { boundaries: vec![10, 20], factor: 0.5 };
    assert_eq!(mirror.rule.course.spec(10, 40), Schedule { warmup: 5, shape });
    let again = read(&mirror.to_toml().unwrap(), &[]).unwrap();
    assert_eq!(again.rule, mirror.rule);
}

#[test]
fn a_file_without_end_and_too_many_layers_are_refused_at_once() {
    let endless = load(Path::new("/dev/zero"), &[], &Environment::empty()).unwrap_err().to_string();
    assert!(endless.contains("/dev/zero cannot be read: it is longer than 16 MiB"), "{endless}");
    let many = read(&"[[layer]]\nkind = 'relu'\n".repeat(10_001), &[]).unwrap_err();
    assert!(many.contains("10001 tables, more than 10000"), "{many}");
}

#[test]
fn a_network_fits_its_data_its_classes_and_its_norms() {
    let network = |sets: &[&str], input| set(sets).unwrap().network(input).map_err(|error| error.to_string());
    assert!(network(&[], [1, 6, 6]).is_ok());
    assert!(network(&["model.classes=9"], [1, 6, 6]).unwrap_err().contains("each of the 9 classes"));
    assert!(
        network(&["model.image=28"], [1, 6, 6]).unwrap_err().starts_with("'model.image' in net.toml is 28")
    );
    assert!(network(&["model.channels=3"], [1, 6, 6]).unwrap_err().starts_with("'model.channels'"));
    let config = set(&[]).unwrap();
    assert_eq!(config.input_shape(), Some([1, 28, 28]));
    let norms = |side, smallest| config.check_norms(&config.network([1, side, side]).unwrap(), smallest);
    assert!(norms(1, 2).is_ok() && norms(6, 1).is_ok());
    assert!(norms(1, 1).unwrap_err().to_string().contains("batch_norm 'batch_norm1' in net.toml"));
}

#[test]
fn the_examples_of_the_page_are_configurations() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let whole: Vec<&str> = blocks.filter(|block| block.contains("[[layer]]")).collect();
    assert_eq!(whole.len(), 3);
    for text in whole {
        read(text, &[]).unwrap().network([1, 28, 28]).unwrap();
    }
}

#[test]
fn the_example_is_the_demo() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/fashion.toml");
    let config = load(Path::new(path), &[], &Environment::empty()).unwrap();
    let network = config.network(config.input_shape().unwrap()).unwrap();
    assert_eq!(network.layers.iter().filter(|layer| layer.op.is_weight()).count(), 5);
    assert_eq!(config.rule.all.name(), "symmetric_alignment");
    assert_eq!(config.data.path, Path::new("data/fashion-mnist"));
    let values = toml::from_str::<Table>(&config.to_toml().unwrap()).unwrap();
    assert!(values["layer"].as_array().is_some_and(|layers| layers.iter().all(Value::is_table)));
}
