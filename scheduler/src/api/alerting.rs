//! While this replica leads: sends the notices that are due, and has the log say what became of them.
//!
//! Invariant: nothing is sent by a replica that has not just heard from a majority that it leads. One that stops leading in the middle
//! of sending leaves the notice to the next leader, which sends it again under the same id.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::alert::{AlertKind, Channel};
use common::{ScheduleName, Timestamp};
use tokio::task::{AbortHandle, JoinSet};

use crate::alerts::{Client, Message, deliver};
use crate::leader::Proposal;
use crate::local::clock;
use crate::metrics;
use crate::replica::{Consistency, Error, Handle};
use crate::state::alerts::{GIVE_UP_AFTER, Notice, NoticeId, Sent};
use crate::state::{Command, State};

/// Notices are looked for so often: soon enough for people, and cheaper under load than a look at each entry.
const LOOK: Duration = Duration::from_millis(100);
/// Channels over which something is sent at once.
const AT_ONCE: usize = 32;
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(600);

/// Ends what it began when it is dropped.
pub struct Alerting(AbortHandle);

impl Drop for Alerting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub fn spawn(handle: Handle) -> Alerting {
    let post = Arc::new(PostOffice { handle, client: Client::default(), busy: Mutex::default() });
    Alerting(tokio::spawn(post.run()).abort_handle())
}

struct PostOffice {
    handle: Handle,
    client: Client,
    /// Channels over which something is being sent: one thing at a time each, so that what happened first arrives first.
    busy: Mutex<BTreeSet<ScheduleName>>,
}

/// A notice that is due, and where it goes.
struct Errand {
    id: NoticeId,
    notice: Notice,
    channel: Arc<Channel>,
}

/// A channel that something is being sent over, until this is dropped: also by a panic.
struct Busy(Arc<PostOffice>, ScheduleName);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy().remove(&self.1);
    }
}

impl PostOffice {
    async fn run(self: Arc<Self>) {
        // Dropped with this future, and what it runs with it.
        let mut errands = JoinSet::new();
        loop {
            while errands.try_join_next().is_some() {}
            let now = clock::now();
            let found = self.handle.read_leading(|state| {
                let busy = self.busy();
                due(state, &busy, now, AT_ONCE.saturating_sub(busy.len()))
            });
            for errand in found.unwrap_or_default() {
                let name = errand.channel.name.clone();
                self.busy().insert(name.clone());
                let busy = Busy(self.clone(), name);
                errands.spawn(async move { busy.0.send(errand).await });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, BTreeSet<ScheduleName>> {
        // Every change is whole before anything that could panic.
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, Errand { id, notice, channel }: Errand) {
        // Whoever led before may have sent it, and the log may say so by now.
        let is_open = |state: &State| state.alerts().notice(id) == Some(&notice);
        if !matches!(self.handle.read(Consistency::Linearizable, is_open).await, Ok(true)) || !self.handle.is_leading()
        {
            return;
        }
        let name = format!("{}.{id}", self.handle.status().cluster);
        let message = Message { id: &name, alert: &notice.alert };
        let outcome = deliver(&self.client, &channel, &message).await;
        let now = clock::now();
        let sent = match outcome {
            Ok(()) => Sent::Arrived,
            Err(error) => {
                tracing::warn!(channel = %channel.name, notice = %id, error, "an alert could not be sent");
                let waits = notice.alert.kind != AlertKind::Test && now < notice.alert.at.plus(GIVE_UP_AFTER);
                match waits {
                    true => Sent::Failed { error, again_at: now.plus(backoff(notice.failures)) },
                    false => Sent::GivenUp { error },
                }
            }
        };
        if let Some(metrics) = metrics::get() {
            metrics.alerted(&sent);
        }
        // What has arrived must be known before anything else: the less time passes, the less a new leader repeats.
        while self.handle.is_leading() {
            let settle = Command::SettleNotices { settled: vec![(id, sent.clone())] };
            match self.handle.propose(Proposal::from(settle)).await {
                Ok(_) | Err(Error::Stopped(_)) => return,
                // Too many proposals wait, or the outcome is not known; the log takes the same twice.
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

/// The first notice of each channel that is due and over which nothing is being sent.
fn due(state: &State, busy: &BTreeSet<ScheduleName>, now: Timestamp, most: usize) -> Vec<Errand> {
    let mut seen = BTreeSet::new();
    let notices = state.alerts().notices().filter(|(_, notice)| notice.due_at <= now);
    let errands = notices.filter_map(|(id, notice)| {
        let channel = state.alerts().channel(&notice.channel)?;
        let is_free = !busy.contains(&notice.channel) && seen.insert(notice.channel.clone());
        is_free.then(|| Errand { id, notice: notice.clone(), channel: channel.clone() })
    });
    errands.take(most).collect()
}

fn backoff(failures: u32) -> Duration {
    BACKOFF_MIN.saturating_mul(1 << failures.min(16)).min(BACKOFF_MAX)
}
