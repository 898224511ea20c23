//! Tests of refusals: every wrong configuration is refused in one sentence.

use std::path::Path;

use super::{NET, read, refusal, set};
use crate::config::{Environment, load};

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
            "'pipeline.schedule' in --set is \"gpip\": it must be \"gpipe\", \"one_f_one_b\", \"zero_bubble\" or \"asynchronous\"; did you mean \"gpipe\"?",
        ),
        (
            "pipeline.stages=per_leyer",
            "'pipeline.stages' in --set is \"per_leyer\": it must be a number of stages, \"per_layer\", \"per_block\", or \
             a list of the layers that begin a new stage; did you mean \"per_layer\"?",
        ),
        (
            "model.last_gamma=1",
            "'model.last_gamma' in --set is for networks whose blocks end with a norm, and \"custom\" is none: leave it out (a \
             [[layer]] of the kind \"batch_norm\" has its own 'gamma')",
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
        (
            "pipeline.placement=splitt",
            "'pipeline.placement' in --set is \"splitt\": it must be \"together\", \"split\", or a list of the weight layers \
             whose W and B are on two hosts; did you mean \"split\"?",
        ),
        (
            "pipeline.placement=[\"conv2\"]",
            "'pipeline.placement' in --set names 'conv2', which is no layer with weights of the network: did you mean \
             'conv1'?",
        ),
        (
            "pipeline.placement=[\"middle\", \"batch_norm1\"]",
            "'pipeline.placement' in --set names 'batch_norm1', which is no layer with weights of the network: its \
             layers with weights are conv1, middle, linear1",
        ),
        (
            "pipeline.placement=split",
            "'pipeline.placement' in --set puts W and B of the layer 'conv1' on two hosts, and its rule backprop reads W \
             for B, which the host of B does not have: set it to \"together\" or to a list of other layers, or choose a \
             rule that reads no W, such as feedback_alignment, weight_mirror, kolen_pollack or product_feedback_alignment",
        ),
        ("optimizer.boundaries=[2, 1]", "'optimizer.boundaries' in --set is [2.0, 1.0]: it must ascend"),
        (
            "layer.conv1.out=64",
            "unknown key 'layer.conv1.out' in --set: layers are a list in the file ([[layer]]), of which --set cannot change one",
        ),
        (
            "layer.conv1={}",
            "unknown key 'layer.conv1' in --set: layers are a list in the file ([[layer]]), of which --set cannot change one",
        ),
        (
            "rule.layers.mid={}",
            "'rule.layers.mid' names no layer with weights of the network in net.toml: did you mean 'middle'?",
        ),
        (
            "data.kind=idx",
            "'model.classes' in net.toml is missing: 'data.kind' \"idx\" does not say how many there are",
        ),
        (
            "data.crop=32",
            "'data.crop' in --set is for photographs, but 'data.kind' is of others: leave it out",
        ),
        (
            "data.crop_area=[0.1]",
            "'data.crop_area' in --set is [0.1]: it must be a list of two numbers above 0, up to 1",
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
fn steps_in_a_flag_belong_to_a_course_that_takes_them() {
    let learned = "rule.name=symmetric_alignment";
    for (sets, refused) in [
        (&["optimizer.boundaries=[1, 2]"][..], "optimizer.boundaries"),
        (&["optimizer.schedule=constant", "optimizer.factor=0.5"], "optimizer.factor"),
        (
            &["optimizer.schedule=step", "optimizer_b.schedule=cosine", "optimizer_b.factor=0.5"],
            "optimizer_b.factor",
        ),
        (&[learned, "rule.schedule=cosine", "rule.boundaries=[1]"], "rule.boundaries"),
        (&["optimizer.schedule=step", "optimizer.boundaries=[1]", "optimizer_b.factor=0.5"], ""),
        (&["optimizer_b.schedule=step", "optimizer.boundaries=[1]"], ""),
        (&[learned, "rule.schedule=step", "rule.boundaries=[1]"], ""),
    ] {
        let said = set(sets).err().unwrap_or_default();
        let table = refused.split('.').next().unwrap();
        let why = format!("'{refused}' in --set counts only with {table}.schedule = \"step\" (it is \"");
        assert!(said.starts_with(&why) || (said.is_empty() && refused.is_empty()), "{sets:?}: {said}");
    }
    // A file may hold keys of another schedule, as a resolved configuration does.
    read(&format!("optimizer.boundaries = [1, 2]\noptimizer.factor = 0.5\n{NET}"), &[]).unwrap();
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
    let typo = read(&format!("[rule.layers.mid]\n{NET}"), &[]).unwrap_err();
    assert!(typo.starts_with("'rule.layers.mid' names no layer"), "{typo}");
    assert!(read(&format!("[rule.layers.middle]\n{NET}"), &[]).is_ok());
    assert!(read("", &[]).unwrap_err().contains("there is no [[layer]]"));
}

#[test]
fn keys_of_photographs_that_contradict_each_other_are_refused() {
    let photos = ["data.kind=image_folder", "model.classes=10"];
    let labels = "data.test_labels=l.txt";
    for (sets, said) in [
        (&["data.prefix=a"][..], "'data.prefix' in --set is for idx files, but"),
        (&["data.resize=200"], "'data.resize' in --set is 200, less than the 224 of 'data.crop'"),
        (&["data.crop_area=[0.9, 0.5]"], "the first number must not be above the second"),
        (&["data.jitter=[0.4, 0.4, 0.4, 0.6]"], "'data.jitter' in --set ends in 0.6: "),
        (&["data.jitter=[0.4, 0.4, 0.4]"], "it must be a list of four numbers, 0 or more"),
        (&[labels], "'data.test_labels' in --set needs 'data.test_numbering': \"sorted\" if "),
        (&["data.test_numbering=sorted"], "says nothing without 'data.test_labels'"),
        (&[labels, "data.test_numbering=devkit"], "is \"devkit\", which needs 'data.synsets'"),
        (
            &[labels, "data.test_numbering=sorted", "data.synsets=s.txt"],
            "is for 'data.test_numbering' \"devkit\" alone",
        ),
    ] {
        let sentence = refusal(&[&photos[..], sets].concat());
        assert!(sentence.contains(said), "{sentence} should say: {said}");
    }
    let config = set(&[&photos[..], &["data.crop=64", "data.resize=72"]].concat()).unwrap();
    assert_eq!((config.input_shape(), config.data.augment), (Some([3, 64, 64]), true));
}
