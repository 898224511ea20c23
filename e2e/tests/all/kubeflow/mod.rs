//! Tests of the progress that a run posts to Kubeflow Trainer's status server, and of servers that must not touch the
//! run.

mod server;

use e2e::harm::within;
use e2e::{Bench, Coordinator, Ended, Run};
use server::{Manner, PATH, Post, StatusServer, TOKEN};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// Ten steps an epoch.
const KEYS: &str = r#"
[train]
epochs = 2
batch = 16
[pipeline]
microbatches = 2
stages = "per_layer"
[snapshot]
every_steps = 10
"#;
/// The most bytes that a client and the buffers of one connection may take of an endless answer.
const BOUND: usize = 64 << 20;

/// Starts a run with these variables.
fn start(
    bench: &Bench,
    config: &Path,
    name: &str,
    more: &[&str],
    variables: &[(&str, String)],
) -> Coordinator {
    let run = bench.run(name);
    let mut command = bench.coordinator(&["train", "--local"]);
    command.arg("--config").arg(config).arg("--run-dir").arg(&run.folder).args(more);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    Coordinator::start(command, run)
}

/// Runs to the end, which must be a success.
fn done(bench: &Bench, name: &str, more: &[&str], variables: &[(&str, String)]) -> (Run, Ended) {
    let ended = start(bench, &bench.tiny(KEYS), name, more, variables).ended();
    assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
    (bench.run(name), ended)
}

fn percentage(post: &Post) -> u64 {
    post.status["progressPercentage"].as_u64().expect("a whole number")
}

/// Checks that `post` says what the run's folder says at its end.
fn says_that_all_is_done(post: &Post, run: &Run) {
    assert_eq!((percentage(post), &post.status["estimatedRemainingSeconds"]), (100, &0.into()));
    let newest = run.metrics().pop().unwrap();
    for name in ["step", "epoch", "loss", "accuracy", "images_per_s"] {
        assert_eq!(post.metric(name), newest[name].as_f64().unwrap(), "{name}");
    }
    assert_eq!(post.metric("test_top1"), run.summary()["test_top1"].as_f64().unwrap());
}

#[test]
fn a_run_posts_what_its_folder_says_and_goes_on_where_it_was() {
    let (bench, server) = (Bench::new(), StatusServer::new(Manner::Takes));
    let (run, ended) = done(&bench, "watched", &[], &server.variables());
    assert!(!ended.stderr.contains("WARN"), "{}", ended.stderr);
    let posts = server.posts();
    let [earlier @ .., last] = &posts[..] else { panic!("no status") };
    let head = last.head.to_lowercase();
    assert!(last.head.starts_with(&format!("POST {PATH} HTTP/1.1\r\n")), "{head}");
    assert!(head.contains("\r\nhost: localhost:") && head.contains("\r\ncontent-type: application/json\r\n"));
    assert!(posts.iter().all(|post| post.token == TOKEN));
    assert!(earlier.iter().all(|post| percentage(post) < 100), "{earlier:?}");
    let time = last.status["lastUpdatedTime"].as_str().unwrap();
    assert!(time.len() == "2026-09-30T12:00:00Z".len() && time.ends_with('Z'), "{time}");
    says_that_all_is_done(last, &run);

    let before = run.digests();
    run.forget_after(10);
    let (run, _) = done(&bench, "watched", &["--resume", "10"], &server.variables());
    let again = &server.posts()[posts.len()..];
    let [earlier @ .., last] = again else { panic!("no status") };
    assert!(
        earlier.iter().all(|post| (50..100).contains(&percentage(post))),
        "earlier steps count: {earlier:?}"
    );
    says_that_all_is_done(last, &run);
    assert_eq!(run.digests(), before);
}

/// The warnings of posts that failed.
fn warnings(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().filter(|line| line.contains("WARN") && line.contains("the progress ")).collect()
}

#[test]
fn no_server_changes_a_run_and_each_kind_of_failure_is_said_once() {
    let bench = Bench::new();
    let (undisturbed, ended) = done(&bench, "alone", &[], &[]);
    assert!(!ended.stderr.contains("progress"), "{}", ended.stderr);
    let (history, digests) = (undisturbed.history(), undisturbed.digests());

    let elsewhere = StatusServer::new(Manner::Takes);
    let url = elsewhere.url("https://localhost");
    let redirect = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n");
    let reason = "{\"message\":\"no such token\"}";
    let unknown = format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\n\r\n{reason}", reason.len());
    let broken = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n".to_owned();
    let endless = "HTTP/1.1 500 Internal Server Error\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = "10\r\n0123456789abcdef\r\n";
    let manners = [
        ("refused", Manner::Answers(unknown), "401 Unauthorized: \"no such token\""),
        ("broken", Manner::Answers(broken), "500 Internal Server Error"),
        ("redirected", Manner::Answers(redirect), "a redirect is not followed"),
        ("nonsense", Manner::Answers("nonsense\r\n\r\n".to_owned()), "no whole answer"),
        ("endless", Manner::Endless(endless, chunk), "500 Internal Server Error"),
        ("endless-head", Manner::Endless("HTTP/1.1 200 OK\r\nlong: ", chunk), "no whole answer"),
        ("hanging", Manner::Hangs, "no answer within 5 s"),
    ];
    for (name, manner, why) in manners {
        let server = StatusServer::new(manner);
        let (run, ended) = done(&bench, name, &[], &server.variables());
        assert_eq!((run.history(), run.digests()), (history.clone(), digests.clone()), "{name}");
        assert!(!server.posts().is_empty() && server.sent.load(SeqCst) < BOUND, "{name}");
        let said = warnings(&ended);
        let repeated = said.iter().filter(|line| line.contains(why)).count();
        assert_eq!((repeated, said.len()), (1, 1), "{name}: {said:?}");
        assert!(!ended.stderr.contains(TOKEN), "{name}: the token is shown");
    }
    assert_eq!(elsewhere.connections.load(SeqCst), 0, "the token followed a redirect");
}

#[test]
fn a_server_that_cannot_be_trusted_gets_nothing() {
    let bench = Bench::new();
    let (undisturbed, _) = done(&bench, "alone", &[], &[]);
    let (server, stranger) = (StatusServer::new(Manner::Takes), StatusServer::new(Manner::Takes));
    let [url, ca, token] = server.variables();
    let other = stranger.variables()[1].clone();
    let file = |name: &'static str, path: &str| (name, server.file(path).display().to_string());
    for (name, variables, why, connects) in [
        ("other-ca", vec![url.clone(), other, token.clone()], "no TLS with it", true),
        (
            "other-name",
            vec![(url.0, server.url("https://127.0.0.1")), ca.clone(), token.clone()],
            "no TLS with it",
            true,
        ),
        (
            "plaintext",
            vec![(url.0, server.url("http://localhost")), ca.clone(), token.clone()],
            "must begin with https://",
            false,
        ),
        ("no-ca", vec![url.clone(), token.clone()], "KUBEFLOW_TRAINER_SERVER_CA_CERT is not", false),
        ("ca-gone", vec![url.clone(), file(ca.0, "none"), token.clone()], "the CA's certificates in", false),
        ("token-gone", vec![url.clone(), ca.clone(), file(token.0, "none")], "the token in", false),
        (
            "nobody",
            vec![(url.0, "https://localhost:1/".to_owned()), ca.clone(), token.clone()],
            "no connection",
            false,
        ),
    ] {
        let before = server.connections.load(SeqCst);
        let (run, ended) = done(&bench, name, &[], &variables);
        assert_eq!(run.history(), undisturbed.history(), "{name}");
        assert_eq!(run.digests(), undisturbed.digests(), "{name}");
        let said = warnings(&ended);
        assert!(said.len() == 1 && said[0].contains(why), "{name}: {said:?}");
        assert_eq!(server.connections.load(SeqCst) > before, connects, "{name}");
    }
    assert!(server.posts().is_empty() && stranger.posts().is_empty(), "a token went out");
}

#[test]
fn a_token_is_read_again_posts_keep_their_distance_and_a_stopped_run_expects_no_end() {
    let (bench, server) = (Bench::new(), StatusServer::new(Manner::Takes));
    let long = bench.tiny(&KEYS.replace("epochs = 2", "epochs = 100000"));
    let coordinator = start(&bench, &long, "long", &[], &server.variables());
    let posted = |token: &str| server.posts().iter().filter(|post| post.token == token).count();
    within(Duration::from_secs(120), "two statuses", || posted(TOKEN) >= 2);
    server.renew("second.token");
    within(Duration::from_secs(60), "a status with the new token", || posted("second.token") >= 1);
    coordinator.signal("-INT");
    let ended = coordinator.ended();
    assert_eq!(ended.code, Some(75), "{}", ended.stderr);

    let mut posts = server.posts();
    let steps: Vec<f64> = posts.iter().map(|post| post.metric("step")).collect();
    assert!(steps.is_sorted(), "{steps:?}");
    let last = posts.pop().unwrap();
    assert!(percentage(&last) < 100 && last.status.get("estimatedRemainingSeconds").is_none(), "{last:?}");
    let under_way = posts.last().unwrap();
    assert!(under_way.status["estimatedRemainingSeconds"].as_u64().is_some(), "{under_way:?}");
    let summary = bench.run("long").summary();
    assert_eq!(last.metric("step"), summary["steps"].as_f64().unwrap());
    let apart = posts.windows(2).map(|pair| pair[1].at - pair[0].at);
    apart.for_each(|apart| assert!(apart >= Duration::from_secs(5), "{apart:?} between two statuses"));
}
