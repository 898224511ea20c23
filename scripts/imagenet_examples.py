#!/usr/bin/env python3
"""Write examples/imagenet/MODEL-RULE.toml, one for each network and rule, out of the tables below.

    python3 scripts/imagenet_examples.py            writes the files
    python3 scripts/imagenet_examples.py --check    exits 1 if a file is not what the tables say

Every value stands with its source, which the file says behind it.
"""

import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "examples/imagenet"

# The sources, as the head of each file explains them.
PAPER, CODE, SECOND, OURS = "paper", "code", "second", "ours"
SOURCES = {
    PAPER: "Kunin et al., \"Two Routes to Scalable Credit Assignment without Weight Symmetry\", ICML 2020, arXiv 2003.01513",
    CODE: "a default of the paper's code, github.com/neuroailab/Neural-Alignment",
    SECOND: "github.com/jil095/product_feedback_alignment, on BioTorch (Sanfiz and Akrout, arXiv 2108.13446)",
    OURS: "of this repository; docs/imagenet.md says how it was found",
}

MODELS = {
    "resnet18": "ResNet-18", "resnet34": "ResNet-34", "resnet50": "ResNet-50",
    "resnet50_v2": "ResNet-50 v2", "resnet101_v2": "ResNet-101 v2", "resnet152_v2": "ResNet-152 v2",
}

# A mean over positions, so that the code's coefficients hold at 224 pixels too.
PER_POSITION = ("per_position", "true", OURS, "sums over 12,544 positions diverge; as a mean, the coefficients fit every resolution")


def rule(name, *keys):
    return [("name", f'"{name}"', None, "")] + list(keys)


def signs(magnitude):
    return rule("sign_symmetry", ("magnitude", f'"{magnitude}"', None, ""))


# File name: title, keys of [rule], recipe.
RULES = {
    "backprop": ("backprop", rule("backprop"), "plain"),
    "feedback_alignment": ("feedback alignment", rule("feedback_alignment"), "plain"),
    "weight_mirror": ("weight mirror", rule(
        "weight_mirror",
        ("amp", "2e-3", OURS, "twice decay, so that B settles at W; the code's 1e-3 settles at half of it"),
        ("decay", "1e-3", CODE, ""),
        PER_POSITION), "mirror"),
    "information_alignment": ("information alignment", rule(
        "information_alignment",
        ("amp", "2e-3", CODE, ""), ("null", "1e-3", CODE, ""), ("decay", "1e-3", CODE, ""),
        PER_POSITION), "information"),
    "symmetric_alignment": ("symmetric alignment", rule(
        "symmetric_alignment", ("self", "2e-3", CODE, ""), ("decay", "1e-3", CODE, "")), "paper"),
    "activation_alignment": ("activation alignment", rule(
        "activation_alignment", ("amp", "2e-3", CODE, ""), ("sparse", "1e-3", CODE, ""), PER_POSITION), "paper"),
    "kolen_pollack": ("Kolen-Pollack", rule("kolen_pollack"), "plain"),
    "sign_symmetry_uniform": ("sign symmetry, uniform (uSF)", signs("uniform"), "plain"),
    "sign_symmetry_redrawn": ("sign symmetry, redrawn (brSF)", signs("redrawn"), "plain"),
    "sign_symmetry_fixed": ("sign symmetry, fixed (frSF)", signs("fixed"), "plain"),
}
# The rules of the second recipe, for the one network that it was published with.
SECOND_MODEL = "resnet18"
SECOND_RULES = ["backprop", "feedback_alignment", "sign_symmetry_uniform", "sign_symmetry_redrawn", "sign_symmetry_fixed"]


def schedule(boundaries, source, why=""):
    return [("schedule", '"step"', CODE, ""), ("warmup_epochs", "5", CODE, ""), ("boundaries", boundaries, source, why),
            ("factor", "0.1", CODE, "")]


def first(train, course):
    """The recipe of the paper's code, with these keys of [train] and this course of the rate."""
    return {
        "microbatch": 32,
        "train": train,
        "optimizer": [
            ("name", '"sgd"', CODE, ""),
            ("lr", "0.1", OURS, "the second recipe's, for the same batch"),
            ("lr_batch", "256", CODE, "the rate grows in proportion to the batch"),
            ("momentum", "0.9", CODE, ""), ("nesterov", "true", CODE, ""),
            ("weight_decay", "1e-4", CODE, "of W only"),
        ] + course,
    }


USUAL = schedule("[30, 60, 80]", CODE)
RECIPES = {
    "plain": first([("epochs", "90", CODE, ""), ("batch", "256", CODE, "")], USUAL),
    "paper": first([("epochs", "90", PAPER, ""), ("batch", "256", PAPER, "")], USUAL),
    "mirror": first([("epochs", "90", CODE, ""), ("batch", "2048", PAPER, "")], USUAL),
    "information": first([("epochs", "200", PAPER, "as many steps as 200 epochs have"), ("batch", "256", CODE, "")],
                         schedule("[67, 133, 178]", OURS, "30, 60, 80 of 90, in proportion")),
    "second": {
        "microbatch": 32,
        "train": [("epochs", "75", SECOND, ""), ("batch", "256", SECOND, "")],
        "optimizer": [
            ("name", '"sgd"', SECOND, ""), ("lr", "0.1", SECOND, ""), ("momentum", "0.9", SECOND, ""),
            ("nesterov", "false", SECOND, ""), ("weight_decay", "1e-4", SECOND, "here of W only"),
            ("schedule", '"step"', SECOND, ""), ("boundaries", "[20, 40, 60]", SECOND, ""), ("factor", "0.1", SECOND, ""),
        ],
    },
}

DATA = [
    ("kind", '"image_folder"', None, "docs/photographs.md"), ("path", '"imagenet"', None, "below NEUROPIL_DATA, with train/ and val/"),
    ("augment", "true", CODE, "a random crop and a flip"), ("crop", "224", CODE, ""), ("resize", "256", CODE, ""),
    ("crop_area", "[0.08, 1.0]", CODE, ""),
]


def pipeline(recipe):
    batch = next(int(value) for key, value, _, _ in recipe["train"] if key == "batch")
    return [("stages", "4", OURS, "cut where their work is most even"),
            ("microbatches", str(batch // recipe["microbatch"]), OURS, f"of {recipe['microbatch']} images, which batch norms see"),
            ("schedule", '"one_f_one_b"', OURS, "")]


def table(name, keys):
    lines = [f"[{name}]"]
    for key, value, source, why in keys:
        said = ": ".join(word for word in (source, why) if word)
        line = f"{key} = {value}"
        lines.append(f"{line:<35} # {said}" if said else line)
    return "\n".join(lines)


def text(model, rule_name, recipe_name):
    title, keys, usual = RULES[rule_name]
    name = file_name(model, rule_name, recipe_name)
    recipe = RECIPES[recipe_name or usual]
    which = "by the second public recipe" if recipe_name else "by the paper's recipe"
    used = [("model", [("name", f'"{model}"', None, ""), ("classes", "1000", None, ""), ("image", "224", CODE, ""),
                       ("channels", "3", None, "")]),
            ("data", DATA), ("train", recipe["train"]), ("rule", keys), ("optimizer", recipe["optimizer"]),
            ("pipeline", pipeline(recipe)),
            ("snapshot", [("every_steps", "1000", OURS, "what a lost node costs at most"), ("best", "true", OURS, "")])]
    named = {source for _, rows in used for _, _, source, _ in rows}
    legend = "\n".join(f"#     {source:<7} {meaning}" for source, meaning in SOURCES.items() if source in named)
    head = f"""\
# {MODELS[model]} on ImageNet: {title}, {which}.
#
#     target/release/coordinator train --config examples/imagenet/{name} --nodes …
#
# docs/imagenet.md says how to get from the downloaded archives to a run, and what to expect.
# scripts/imagenet_examples.py writes this file. Where a value is from:
#
{legend}

seed = 0
"""
    return head + "\n" + "\n\n".join(table(*part) for part in used) + "\n"


def file_name(model, rule_name, recipe_name):
    return f"{model}-{rule_name}{'-75_epochs' if recipe_name else ''}.toml"


def files():
    made = [(model, rule_name, None) for model in MODELS for rule_name in RULES]
    made += [(SECOND_MODEL, rule_name, "second") for rule_name in SECOND_RULES]
    return {file_name(*one): text(*one) for one in made}


def main():
    due = files()
    there = {path.name: path.read_text() for path in FOLDER.glob("*.toml")}
    if sys.argv[1:] == ["--check"]:
        wrong = sorted(name for name in due.keys() | there.keys() if due.get(name) != there.get(name))
        if wrong:
            sys.exit(f"not as scripts/imagenet_examples.py writes it: examples/imagenet/{wrong[0]} ({len(wrong)} in all)")
        return
    FOLDER.mkdir(exist_ok=True)
    for name in there.keys() - due.keys():
        (FOLDER / name).unlink()
    for name, content in due.items():
        (FOLDER / name).write_text(content)
    print(f"{len(due)} files in {FOLDER}")


if __name__ == "__main__":
    main()
