//! The command's report about the certificates that it made: the new ones, the files for each host, and the dates of
//! their ends.

use super::names::{self, CA, CA_KEY};
use super::plan::{Change, Leaf, Plan, date};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use time::OffsetDateTime;

/// The least width of the column of processes.
const NAMES: usize = 12;

/// The report on a plan that has been carried out in the folder `out`, for hosts or for the Secrets of Kubernetes.
pub(super) fn table(plan: &Plan, out: &Path, now: OffsetDateTime, kubernetes: bool) -> String {
    let made = if plan.new_authority { "new" } else { "kept" };
    let mut text = format!(
        "deployment '{}' in {}: the CA is {made}, and valid until {}\n\n",
        plan.deployment,
        out.display(),
        date(plan.authority.to)
    );
    let files: Vec<String> = plan.leaves.iter().map(files).collect();
    let width = files.iter().map(String::len).max().unwrap_or(0);
    let words: Vec<String> = plan.leaves.iter().map(|leaf| names::words(&leaf.identity)).collect();
    let names = words.iter().map(String::len).max().unwrap_or(0).max(NAMES);
    let place = if kubernetes { "files for its Secret" } else { "files for its host" };
    let _ = writeln!(text, "{:<names$} {:<width$}  {:<22} valid until", "process", place, "");
    for ((leaf, files), words) in plan.leaves.iter().zip(&files).zip(&words) {
        let _ =
            writeln!(text, "{words:<names$} {files:<width$}  {:<22} {}", change(leaf), date(leaf.valid.to));
    }
    text.push_str(&remarks(plan, now, kubernetes));
    if kubernetes {
        text.push_str("\nThe next command, with an overlay that has this folder among its components:\n\n    kubectl apply -k OVERLAY\n");
    }
    text
}

fn files(leaf: &Leaf) -> String {
    format!("{CA} {} {}", names::certificate(&leaf.identity), names::key(&leaf.identity))
}

fn change(leaf: &Leaf) -> &'static str {
    match (leaf.change, leaf.keeps_key) {
        (Change::Added, false) => "added",
        (Change::Added, true) => "added to its key",
        (Change::Renewed, true) => "renewed, key unchanged",
        (Change::Renewed, false) => "renewed, new key",
    }
}

fn remarks(plan: &Plan, now: OffsetDateTime, kubernetes: bool) -> String {
    let mut text = String::from("\n");
    let list = |stages: &BTreeSet<u32>| stages.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    if !plan.left.is_empty() {
        let _ = writeln!(text, "not renewed, because --stages is lower: stage {}", list(&plan.left));
    }
    if !plan.left_backward.is_empty() {
        let stages = list(&plan.left_backward);
        let _ = writeln!(
            text,
            "not renewed, because --backward does not name it: the backward node of stage {stages}"
        );
    }
    let end = plan.leaves.iter().map(|leaf| leaf.valid.to).min().unwrap_or(plan.authority.to);
    let next = match end == plan.authority.to {
        true => "and so does the CA: make a new CA in another folder before that",
        false if kubernetes => "so run this command again before that and apply the overlay again",
        false => "so run this command again before that and copy the new ones to their hosts",
    };
    let use_of = match kubernetes {
        true => {
            "The component's kustomization.yaml, which coordinator manifests writes, makes a Secret of each three."
        }
        false => {
            "Each host gets the three files of its process and no other: give them to layer-node and coordinator by \
             --tls-ca, --tls-cert and --tls-key, or by NEUROPIL_TLS_CA, NEUROPIL_TLS_CERT and NEUROPIL_TLS_KEY."
        }
    };
    let _ = writeln!(
        text,
        "{use_of}\n\
         {CA_KEY} stays off the nodes and out of every Secret: whoever has it can be any process of this deployment.\n\
         The first of these certificates ends at {}, in {} days, {next}.",
        date(end),
        (end - now).whole_days()
    );
    text
}
