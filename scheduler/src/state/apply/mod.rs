//! One file for each command, and what several of them need: how a task ends and what follows for its run.

mod cancel_run;
mod collect_blobs;
mod decide_tick;
mod deploy_project;
mod drain_worker;
mod enforce_timeouts;
mod forget_ticks;
mod forget_transcripts;
mod keep_transcripts;
mod lose_worker;
mod pause_schedule;
mod promote_retries;
mod put_blob;
mod put_channels;
mod put_schedules;
mod register_worker;
mod remove_channels;
mod remove_runs;
mod remove_schedules;
mod report_tasks;
mod retry_run;
mod set_pool;
mod settle_notices;
mod start_backfill;
mod steer_backfill;
mod submit_run;
mod tell_deadlines;
mod test_channel;

use std::sync::Arc;

use common::RunId;
use common::task::{FailureKind, TaskState};

use super::planted::Bug;
use super::projects::Deployment;
use super::retry::{self, Next, Salt, Tries};
use super::task::Packed;
use super::{Command, Ending, Entry, Event, Rejection, Reply, Run, RunState, State, Step, StopCause};

pub(super) fn dispatch(state: &mut State, entry: &mut Entry, command: Command) -> Result<Reply, Rejection> {
    match command {
        Command::RegisterWorker { worker, slots, running, description } => {
            let hello = register_worker::Hello { worker, slots, running, description };
            register_worker::apply(state, entry, hello)
        }
        Command::DrainWorker { worker } => drain_worker::apply(state, entry, worker),
        Command::LoseWorker { worker } => lose_worker::apply(state, entry, worker),
        Command::SubmitRun(submission) => submit_run::apply(state, entry, *submission),
        Command::ReportTasks { reports } => report_tasks::apply(state, entry, reports),
        Command::PromoteRetries => promote_retries::apply(state, entry),
        Command::CancelRun { run, cause } => cancel_run::apply(state, entry, run, cause),
        Command::RetryRun { run, manifest_digest } => retry_run::apply(state, entry, run, manifest_digest),
        Command::RemoveRuns { runs } => remove_runs::apply(state, entry, &runs),
        Command::EnforceTimeouts => enforce_timeouts::apply(state, entry),
        Command::SetPool { pool, places } => set_pool::apply(state, pool, places),
        Command::PutBlob { digest, size, offset, bytes } => {
            put_blob::apply(state, entry, digest, size, (offset, bytes.len() as u64))
        }
        Command::DeployProject { project, bundle, files, revision } => {
            let deployment = Deployment { bundle, revision, at: entry.at };
            deploy_project::apply(state, project, deployment, files)
        }
        Command::CollectBlobs { before } => collect_blobs::apply(state, entry, before),
        Command::KeepTranscripts { transcripts } => keep_transcripts::apply(state, entry, transcripts),
        Command::PutSchedules { puts } => put_schedules::apply(state, entry, puts),
        Command::RemoveSchedules { names } => remove_schedules::apply(state, entry, &names),
        Command::PauseSchedule { name } => pause_schedule::pause(state, entry, &name),
        Command::ResumeSchedule { name, next, slept } => pause_schedule::resume(state, entry, &name, next, slept),
        Command::DecideTick(tick) => decide_tick::apply(state, entry, *tick),
        Command::StartBackfill(request) => start_backfill::apply(state, entry, *request),
        Command::SteerBackfill { id, steer } => steer_backfill::apply(state, entry, id, steer),
        Command::ForgetTicks { before } => forget_ticks::apply(state, before),
        Command::PutChannels { channels } => put_channels::apply(state, channels),
        Command::RemoveChannels { names } => remove_channels::apply(state, entry, &names),
        Command::TestChannel { name } => test_channel::apply(state, entry, name),
        Command::SettleNotices { settled } => settle_notices::apply(state, entry, settled),
        Command::TellDeadlines => tell_deadlines::apply(state, entry),
        Command::DeclareSchedules { puts, gates } => put_schedules::declare(state, entry, puts, gates),
        Command::ForgetTranscripts { runs } => forget_transcripts::apply(state, entry, &runs),
    }
}

impl State {
    /// Ends a task for good and tells everyone who depends on it. `ending` is that of its last attempt, if that is news.
    fn finish_task(&mut self, entry: &mut Entry, run: RunId, index: u32, step: Step, ending: Option<Arc<Ending>>) {
        self.step(run, index, step);
        self.losses.remove(&(run, index));
        let Some(task) = self.runs.get(&run).and_then(|run| run.tasks.get(index as usize)) else { return };
        entry.events.push(Event::TaskFinished {
            run,
            task: index,
            node: task.node.clone(),
            attempt: task.attempt,
            state: task.state.clone(),
            ending: ending.or_else(|| task.ending().map(Arc::new)),
        });
        let has_failed = matches!(task.state, TaskState::Failed(_));
        self.wake_downstreams(run, index);
        if has_failed {
            self.fail_downstreams(entry, run, index);
        }
    }

    /// What waited for the end of this task waits for one thing less.
    fn wake_downstreams(&mut self, id: RunId, index: u32) {
        let early = self.has(Bug::UpstreamsNotAwaited);
        let Some(run) = self.runs.get_mut(&id) else { return };
        let downstreams = run.derived.downstreams.of(index).iter().copied();
        let woken: Vec<u32> = downstreams.filter(|&downstream| !run.awaits(index, downstream)).collect();
        let mut ready = Vec::new();
        for downstream in woken {
            let task = &mut run.tasks[downstream as usize];
            task.waiting = task.waiting.saturating_sub(1);
            if (task.waiting == 0 || early) && task.state == TaskState::Pending {
                ready.push(downstream);
            }
        }
        for task in ready {
            self.step(id, task, Step::UpstreamsSucceeded);
        }
    }

    /// Everything downstream that was still waiting, in plan order.
    fn fail_downstreams(&mut self, entry: &mut Entry, id: RunId, index: u32) {
        if self.has(Bug::FailureNotPropagated) {
            return;
        }
        let Some(run) = self.runs.get(&id) else { return };
        let mut found = std::collections::BTreeSet::new();
        let mut unseen = vec![index];
        while let Some(task) = unseen.pop() {
            let downstreams = run.derived.downstreams.of(task).iter().copied();
            let needing = downstreams.filter(|&downstream| run.needs(task, downstream));
            let waiting = needing.filter(|&task| run.tasks[task as usize].state == TaskState::Pending);
            unseen.extend(waiting.filter(|&task| found.insert(task)));
        }
        for task in found {
            self.finish_task(entry, id, task, Step::UpstreamFailed, None);
        }
    }

    /// An attempt failed: another one follows, or the task has failed.
    fn fail_attempt(&mut self, entry: &mut Entry, id: RunId, index: u32, kind: FailureKind, ending: Ending) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let policy = run.retry;
        let stopping = run.tasks.get(index as usize).is_some_and(|task| run.stops(&task.node));
        let Some(task) = run.tasks.get_mut(index as usize) else { return };
        let (node, attempt) = (task.node.clone(), task.attempt);
        let ending = Arc::new(ending);
        task.ending = Some(Packed::new(&ending));
        let salt = Salt { run: id, task: index };
        let made = task.tries;
        let lost = self.count_lost(id, index, kind);
        let next = retry::next(&policy, kind, Tries { failed: made.saturating_sub(lost), lost }, salt);
        let worth_another = retry::next(&policy, kind, Tries::default(), salt) != Next::Never;
        if stopping && worth_another {
            return self.finish_task(entry, id, index, Step::Canceled, Some(ending));
        }
        let (step, due_at) = match next {
            Next::Never => {
                self.finish_task(entry, id, index, Step::Failed(kind), Some(ending));
                return self.stop_at_first_failure(entry, id, index);
            }
            Next::Now => (Step::Lost, entry.at),
            Next::After(wait) => {
                let due_at = entry.at.plus(wait);
                (Step::FailedForNow { due_at }, due_at)
            }
        };
        self.step(id, index, step);
        entry.events.push(Event::TaskUpForRetry { run: id, task: index, node, attempt, kind, due_at, ending });
    }

    /// Attempts at the task that were lost with their workers, this one included.
    fn count_lost(&mut self, id: RunId, index: u32, kind: FailureKind) -> u32 {
        if kind == FailureKind::WorkerLost {
            *self.losses.entry((id, index)).or_default() += 1;
        }
        self.losses.get(&(id, index)).copied().unwrap_or(0)
    }

    fn stop_at_first_failure(&mut self, entry: &mut Entry, id: RunId, failed: u32) {
        let stops = |run: &Run| run.fail_fast && run.state == RunState::Active && !run.is_hook(failed);
        if self.runs.get(&id).is_some_and(stops) {
            self.stop_run(entry, id, StopCause::FailFast);
        }
    }

    /// No node starts any more; what has not begun ends now, what runs is asked to. Hooks follow all the same where nobody canceled.
    fn stop_run(&mut self, entry: &mut Entry, id: RunId, cause: StopCause) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.state = RunState::Stopping(cause);
        if let Some(deadline) = run.deadline {
            self.index.run_deadlines.remove(&(deadline, id));
        }
        entry.events.push(Event::RunStopping { run: id, cause });
        let step = if cause == StopCause::FailFast { Step::Skipped } else { Step::Canceled };
        let mut waiting = Vec::new();
        for (index, task) in run.tasks.iter().enumerate() {
            if !run.stops(&task.node) {
                continue;
            }
            match &task.state {
                TaskState::Pending | TaskState::Ready | TaskState::UpForRetry { .. } => waiting.push(index as u32),
                TaskState::Running { worker, epoch, .. } => entry.events.push(Event::TaskCancelRequested {
                    worker: worker.clone(),
                    run: id,
                    node: task.node.clone(),
                    epoch: *epoch,
                }),
                _ => {}
            }
        }
        for index in waiting {
            self.finish_task(entry, id, index, step.clone(), None);
        }
    }

    /// Ends the run if all its tasks have ended.
    fn finish_run(&mut self, entry: &mut Entry, id: RunId) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let counts = run.counts();
        if run.is_finished() || counts.finished() < counts.total {
            return;
        }
        let outcome = run.outcome();
        if let Some(deadline) = run.deadline {
            self.index.run_deadlines.remove(&(deadline, id));
        }
        run.state = RunState::Finished { outcome, at: entry.at };
        self.index.finished.insert((entry.at, id));
        entry.events.push(Event::RunFinished { run: id, outcome, counts });
        self.finish_origin(entry, id);
    }
}
