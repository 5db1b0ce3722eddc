//! What each layer says, and what is said of mistakes.

use std::collections::BTreeMap;

use super::*;

fn layers(text: &str, env: &[(&str, &str)]) -> Layers {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("k.toml");
    std::fs::write(&path, text).expect("a file");
    let env: BTreeMap<String, String> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Layers::new(Some(&path), env)
}

/// `K3006 at 2: message (hint)`
fn findings(layers: &mut Layers) -> Vec<String> {
    layers.read::<Server>();
    layers.read::<Worker>();
    layers.read::<Log>();
    let told = |finding: Diagnostic| {
        let line = finding.location.map_or(0, |location| location.line);
        format!("{} at {line}: {} ({})", finding.code, finding.message, finding.hint.unwrap_or_default())
    };
    layers.take_findings().into_iter().map(told).collect()
}

#[test]
fn the_highest_layer_decides() {
    let mut layers = layers(
        "[worker]\nslots = 2\nlabels = { zone = \"a\" }\ncache-size = \"3MiB\"\nservers = [\"a:1\", \"b:2\"]\n",
        &[("KONTIKI_WORKER_SLOTS", "3"), ("KONTIKI_WORKER_GRACE", "1500ms")],
    );
    layers.flags::<Worker>([(&"slots", &"5".to_owned())]);
    let worker = layers.read::<Worker>();
    assert_eq!(layers.take_findings(), []);
    assert_eq!((worker.slots, worker.grace.as_millis()), (5, 1_500));
    assert_eq!(worker.servers, ["a:1", "b:2"]);
    assert_eq!(worker.labels.0, BTreeMap::from([("zone".to_owned(), "a".to_owned())]));
    let shown = |key| layers.effective("worker", key).map(ToString::to_string).unwrap_or_default();
    assert_eq!(shown("slots"), "slots = 5  # --slots");
    assert_eq!(shown("grace"), "grace = \"1500ms\"  # KONTIKI_WORKER_GRACE");
    assert!(shown("cache-size").starts_with("cache-size = \"3MiB\"  # ") && shown("cache-size").ends_with("k.toml:4"));
    assert_eq!(shown("heartbeat-interval"), "heartbeat-interval = \"1s\"  # default");
    assert_eq!(shown("profiles-dir"), "# profiles-dir is not set");
}

#[test]
fn unknown_names_are_errors_with_the_nearest_known_one() {
    let mut layers = layers(
        "[server]\ndata_dir = 'x'\n\n[workers]\nslots = 1\n\n[log]\ncolour = 'x'\n",
        &[
            ("KONTIKI_SERVER_LISTN", "x"),
            ("KONTIKI_SERVER_PORT", "tcp://10.0.0.1:4728"),
            ("KONTIKI_DUCKDB_LIBRARY", "y"),
        ],
    );
    assert_eq!(
        findings(&mut layers),
        [
            "K3006 at 8: there is no setting 'colour' in section 'log' (it may be: level, format)",
            "K3006 at 2: there is no setting 'data_dir' in section 'server' (did you mean 'data-dir'?)",
            "K3006 at 4: there is no section 'workers' (did you mean 'worker'?)",
            "K3006 at 0: the variable KONTIKI_SERVER_LISTN stands for no setting of section 'server' (did you mean \
             KONTIKI_SERVER_LISTEN?)",
        ]
    );
}

#[test]
fn values_that_cannot_be_are_all_told_at_once() {
    let mut layers = layers(
        "[server]\nlease = \"10\"\nreplicas = \"perhaps\"\npeers = { a = 1 }\n[worker]\nslots = 0\nlabels = [\"gpu\"]\ncache-size = \"3 GB\"\n",
        &[],
    );
    assert_eq!(
        findings(&mut layers),
        [
            "K3007 at 4: server.peers: a table is not expected here ()",
            "K3007 at 3: server.replicas: 'perhaps' is not a whole number below 2^32 ()",
            "K3007 at 2: server.lease: '10' has no unit: ms, s, m or h ()",
            "K3007 at 6: worker.slots: it must be at least 1 ()",
            "K3007 at 7: worker.labels: 'gpu' is not of the form name=value ()",
            "K3007 at 8: worker.cache-size: '3 GB' has no unit: B, KiB, MiB, GiB or TiB ()",
        ]
    );
}

#[test]
fn a_file_that_is_not_toml_is_told_with_its_place() {
    let mut layers = layers("[server]\nname = \"a\nlease = 1\n", &[]);
    let told = findings(&mut layers);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("K3007 at 2: "), "{told:?}");
}

#[test]
fn what_is_described_can_be_read_again() {
    let mut first = layers("[worker]\nlabels = { zone = \"a b\" }\n", &[("KONTIKI_SERVER_PEERS", "a:1, b:1")]);
    let (text, told) = describe(&mut first);
    assert_eq!(told, []);
    let mut second = layers(&text, &[]);
    assert_eq!(findings(&mut second), Vec::<String>::new());
    let server = second.read::<Server>();
    assert_eq!(server.peers, ["a:1", "b:1"]);
}

#[test]
fn every_setting_is_on_the_page() {
    let page = include_str!("../../../docs/reference/configuration.md");
    for (section, settings) in SECTIONS {
        let part = page.split("\n## ").find(|part| part.starts_with(&format!("`[{section}]`"))).unwrap_or_default();
        for setting in settings {
            let default = if setting.default.is_empty() { "none".to_owned() } else { format!("`{}`", setting.default) };
            let row = format!("| `{}` | {} | {default} |", setting.key, setting.help);
            assert!(
                part.lines().any(|line| line == row),
                "docs/reference/configuration.md has no row '{row}' in [{section}]"
            );
        }
    }
}
