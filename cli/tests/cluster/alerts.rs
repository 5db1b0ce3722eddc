//! Alerts of real processes, received by servers that others wrote: each arrives once, whichever replica leads.

use crate::fleet::Fleet;
use crate::sink::{SECRET, Sink};
use crate::support::Project;

#[test]
#[ignore = "needs Python packages: cargo xtask test"]
fn each_alert_arrives_once_through_changes_of_leader() {
    let environment = [("KONTIKI_TEST_SECRET", SECRET), ("KONTIKI_TEST_TEAM", "data")];
    let mut fleet = Fleet::start_in(Project::small(), 3, 1, &environment);
    let sink = Sink::start(fleet.project.root());
    let (http, smtp) = sink.ready();
    fleet.project.model("broken", "table", "select 1 / 0 as a from pg_sleep(3)");
    fleet.project.file(
        "kontiki.yml",
        format!(
            "
schedules:
  - {{name: nightly, cron: '@yearly', select: broken}}
  - {{name: slow, cron: '* * * * * *', select: broken, deadline: 1s, paused: true}}
  - {{name: other, cron: '@yearly', select: broken}}
alerts:
  - name: hook
    webhook:
      url: http://127.0.0.1:{http}/webhook
      secret: {{env: KONTIKI_TEST_SECRET}}
      headers: {{x-team: {{env: KONTIKI_TEST_TEAM}}}}
    schedules: [nightly, slow]
  - name: chat
    slack: {{url: 'http://127.0.0.1:{http}/chat', text: 'Oh: {{% for one in alert.nodes %}}{{{{ one.node }}}}{{% endfor %}}'}}
    events: failure
    schedules: night*
  - name: mail
    email: {{server: '127.0.0.1:{smtp}', security: none, from: kontiki@example.org, to: [a@example.org, b@example.org]}}
    events: [failure, recovery]
    schedules: nightly
  - name: busy
    webhook: {{url: 'http://127.0.0.1:{http}/busy'}}
    events: failure
    schedules: nightly
"
        ),
    );
    fleet.kontiki(&["project", "deploy"]).expect(0);
    fleet.kontiki(&["schedule", "apply"]).expect(0);
    fleet.kontiki(&["alert", "apply", "--dry-run"]).expect(0).says("channel hook would be created");
    fleet.kontiki(&["alert", "apply"]).expect(0).says("channel mail created");
    fleet.kontiki(&["alert", "apply"]).expect(0).says("channel mail unchanged");
    let run = fleet.kontiki(&["schedule", "trigger", "nightly"]).expect(0).stdout.trim().to_owned();

    let old = fleet.leader();
    fleet.replica(old).signal("KILL");
    fleet.await_leader_other_than(old);
    fleet.restart_replica(old);
    fleet.until("the failure everywhere", || {
        let mails = sink.lines().iter().filter(|line| line.get("mail").is_some()).count();
        mails == 1 && ["/webhook", "/chat", "/busy"].iter().all(|path| sink.kinds(path).len() == 1)
    });
    let lines = sink.lines();
    let of = |path: &str| lines.iter().find(|line| line["path"] == path).unwrap();
    let posted = of("/webhook");
    assert_eq!((posted["team"].as_str(), posted["body"]["type"].as_str()), (Some("data"), Some("kontiki.failure")));
    let data = &posted["body"]["data"];
    assert_eq!((data["run_id"].as_str(), data["id"].as_str()), (Some(run.as_str()), posted["id"].as_str()));
    assert_eq!(data["nodes"][0]["node"], "model.p.broken");
    assert!(data["nodes"][0]["message"].as_str().unwrap().contains("division by zero"), "{data}");
    assert_eq!(of("/chat")["body"]["text"], "Oh: model.p.broken");
    let mail = lines.iter().find(|line| line.get("mail").is_some()).unwrap();
    assert!(mail["mail"]["subject"].as_str().unwrap().starts_with("schedule nightly: the run of "), "{mail}");
    assert_eq!(mail["to"].as_array().unwrap().len(), 2);
    assert!(mail["body"].as_str().unwrap().contains(&format!("kontiki runs get {run}")), "{mail}");
    let history = fleet.json(&["alert", "history", "busy"]);
    assert_eq!((history[0]["state"].as_str(), history[0]["failures"].as_u64()), (Some("arrived"), Some(2)));

    // It fails again, and then it succeeds.
    fleet.kontiki(&["runs", "retry", &run]).expect(0);
    fleet.kontiki(&["runs", "watch", &run]).expect(1);
    fleet.project.model("broken", "table", "select 1 as a");
    fleet.kontiki(&["project", "deploy"]).expect(0);
    let again = fleet.kontiki(&["schedule", "trigger", "nightly"]).expect(0).stdout.trim().to_owned();
    fleet.kontiki(&["runs", "watch", &again]).expect(0);
    // Whatever has arrived and is not in the log yet, the next leader sends again under the same id.
    let arrived = || {
        let history = fleet.json(&["alert", "history"]);
        history.as_array().unwrap().iter().filter(|notice| notice["state"] == "arrived").count()
    };
    fleet.until("the recovery, known to have arrived", || arrived() == 6);
    let old = fleet.leader();
    fleet.replica(old).signal("KILL");
    fleet.await_leader_other_than(old);
    // What a new leader repeats goes over a channel before this does.
    for channel in ["hook", "chat", "mail", "busy"] {
        fleet.kontiki(&["alert", "test", channel]).expect(0).says(&format!("arrived over {channel}"));
    }
    assert_eq!(sink.kinds("/webhook"), ["failure", "recovery", "test"]);
    assert_eq!((sink.kinds("/chat").len(), sink.kinds("/busy").len()), (2, 2));
    let mails = sink.lines().iter().filter(|line| line.get("mail").is_some()).count();
    assert_eq!(mails, 3, "failure, recovery and test");

    // A tick whose run is not done in time.
    fleet.project.model("broken", "table", "select 1 as a from pg_sleep(4)");
    fleet.kontiki(&["project", "deploy"]).expect(0);
    fleet.kontiki(&["schedule", "resume", "slow"]).expect(0);
    fleet.until("an alert about a deadline", || sink.kinds("/webhook").iter().any(|kind| kind == "deadline"));
    fleet.kontiki(&["schedule", "pause", "slow"]).expect(0);
}

#[test]
fn a_channel_that_cannot_work_is_refused_or_says_why() {
    let fleet = Fleet::start_in(Project::small(), 1, 1, &[]);
    let declare = |channel: &str| {
        fleet.project.file("kontiki.yml", format!("alerts:\n  - {channel}\n"));
        fleet.kontiki(&["alert", "apply"])
    };
    let refused = declare("{name: a, slack: {url: 'http://x', txt: y}}");
    refused.expect(2);
    refused.says("kontiki.yml:2").says("txt");
    for (channel, problem) in [
        ("{name: a}", "one of 'webhook', 'slack' and 'email'"),
        ("{name: a, slack: {url: 'http://x'}, events: sometimes}", "'sometimes', which is none of failure,"),
        ("{name: a, slack: {url: 'ftp://x'}}", "slack.url has to begin with http:// or https://"),
        ("{name: a, slack: {url: {env: A, file: B}}}", "has to be a text, {env: NAME} or {file: PATH}"),
        ("{name: a, webhook: {url: 'http://x', secret: plain}}", "webhook.secret has to name a variable"),
        ("{name: a, slack: {url: 'http://x', text: '{{ alert.nope.nope }}'}}", "the template does not render"),
        ("{name: a, email: {server: x, from: nobody, to: [a@b.example]}}", "'nobody' is no mail address"),
        ("{name: a, email: {server: x, from: a@b.example}}", "email.to has to name between 1 and 100 addresses"),
    ] {
        let refused = declare(channel);
        refused.expect(2);
        refused.says(problem);
    }
    assert_eq!(fleet.kontiki(&["alert", "list", "-o", "name"]).expect(0).stdout.trim(), "");
    declare("{name: a, slack: {url: {env: KONTIKI_TEST_NOT_THERE}}}").expect(0);
    let failed = fleet.kontiki(&["alert", "test", "a"]);
    failed.expect(2);
    failed.says("the variable KONTIKI_TEST_NOT_THERE is not in this replica's environment");
    declare("{name: a, slack: {url: 'http://127.0.0.1:1/hidden'}}").expect(0);
    let failed = fleet.kontiki(&["alert", "test", "a"]);
    failed.expect(2);
    failed.says("the receiver cannot be reached").is_silent_about("hidden");
    let history = fleet.json(&["alert", "history"]);
    assert_eq!(history.as_array().unwrap().iter().filter(|notice| notice["state"] == "given up").count(), 2);
    fleet.kontiki(&["alert", "delete", "a"]).expect(0);
    fleet.kontiki(&["alert", "delete", "a"]).expect(2).says("channel 'a' does not exist");
}
