//! `kontiki.v1.ScheduleService`: declaring schedules, asking about their ticks, steering them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::schedule::{Decision, Schedule, SourceGate, Upcoming};
use common::{ScheduleName, Timestamp};
use proto::access::Role;
use proto::invalid::Invalid;
use proto::run::to_request;
use proto::scalar::{timestamp, to_timestamp};
use proto::schedule::{Wanted, to_moment, to_name, to_schedule};
use proto::v1;
use proto::v1::schedule_service_server::ScheduleService;
use tonic::{Request, Response, Status};

use super::planner::Planner;
use super::ticking::{self, Refused, Times};
use super::{commit, pages, refusal, schedule_view as view};
use crate::access::Principal;
use crate::leader::Proposal;
use crate::local::clock;
use crate::replica::{Consistency, Handle};
use crate::schedules::Ticks;
use crate::schedules::calendar::{COUNT_MAX, Invalid as InvalidCalendar};
use crate::schedules::vars::{self, TickTimes};
use crate::state::command::{BackfillRequest, PutSchedule, Slept, Steer, TickDecision, TickProposal};
use crate::state::schedules::{Order, PUT_MAX, Series};
use crate::state::{BackfillId, Command, Reply, Scheduled, State};

/// Ticks of one preview.
const PREVIEW_MAX: u32 = 1_000;
const PREVIEW_DEFAULT: u32 = 10;
/// Ticks that are shown of a backfill.
const SHOWN_MAX: usize = 1_000;

pub struct Service {
    handle: Handle,
    planner: Arc<Planner>,
}

type Answer<T> = Result<Response<T>, Status>;

fn invalid(invalid: Invalid) -> Status {
    refusal::invalid(&invalid)
}

fn unknown(name: &ScheduleName) -> Status {
    refusal::not_found(format!("schedule '{name}' does not exist"))
}

fn unknown_backfill(id: BackfillId) -> Status {
    refusal::not_found(format!("backfill {id} does not exist"))
}

fn calendar(declared: &Schedule) -> Result<Ticks, Invalid> {
    let named =
        |wrong: InvalidCalendar| Invalid::new(wrong.field(), format!("of schedule '{}': {wrong}", declared.name));
    Ticks::new(&declared.name, &declared.calendar).map_err(named)
}

/// Refuses what could only fail on every tick.
fn check(declared: &Schedule, now: Timestamp) -> Result<Ticks, Invalid> {
    let ticks = calendar(declared)?;
    let example = ticks.after(now).or_else(|| ticks.before(now)).unwrap_or(now);
    let times = TickTimes {
        schedule: declared.name.clone(),
        zone: ticks.zone(),
        data_interval_start: ticks.before(example).unwrap_or(example),
        scheduled_at: example,
    };
    vars::render(&declared.run.options.vars, &times)
        .map_err(|problem| Invalid::new("run.vars", format!("of schedule '{}': {problem}", declared.name)))?;
    Ok(ticks)
}

/// Refuses schedules that follow one that there is not, or that follow themselves, however far around.
fn follows<'s>(
    declared: impl Iterator<Item = &'s Schedule> + Clone,
    known: &'s [Arc<Schedule>],
) -> Result<(), Invalid> {
    let all = known.iter().map(|known| &**known).chain(declared.clone());
    // What is declared now stands for what was known under its name.
    let all: BTreeMap<&str, &Schedule> = all.map(|schedule| (schedule.name.as_str(), schedule)).collect();
    for schedule in declared {
        let refused = |problem: String| Invalid::new("cron", format!("of schedule '{}': {problem}", schedule.name));
        let mut unseen: Vec<&str> = schedule.calendar.follows().into_iter().flatten().collect();
        if let Some(unknown) = unseen.iter().find(|name| !all.contains_key(*name)) {
            return Err(refused(format!("it follows '{unknown}', which does not exist")));
        }
        let mut seen = BTreeSet::new();
        while let Some(name) = unseen.pop() {
            if name == schedule.name.as_str() {
                return Err(refused("it would follow itself".to_owned()));
            }
            if seen.insert(name) {
                unseen.extend(all.get(name).and_then(|followed| followed.calendar.follows()).into_iter().flatten());
            }
        }
    }
    Ok(())
}

/// The first tick that is yet to come, for everybody who has decided any.
fn coming(ticks: &Ticks, known: Option<&Scheduled>, now: Timestamp) -> Option<Upcoming> {
    let decided = known.and_then(|known| known.decided_until).unwrap_or(now);
    ticks.next(now.max(decided))
}

impl Service {
    pub fn new(handle: Handle, planner: Arc<Planner>) -> Self {
        Self { handle, planner }
    }

    async fn read<T>(&self, question: impl FnOnce(&State) -> T) -> Result<T, Status> {
        self.handle.read(Consistency::Linearizable, question).await.map_err(|error| refusal::failed(&error))
    }

    async fn find(&self, name: &ScheduleName) -> Result<Scheduled, Status> {
        self.read(|state| state.schedule(name).cloned()).await?.ok_or_else(|| unknown(name))
    }

    /// The schedule, for whoever has the role for its project.
    async fn permitted(&self, caller: &Principal, role: Role, name: &ScheduleName) -> Result<Scheduled, Status> {
        let scheduled = self.find(name).await?;
        caller.require(role, Some(&scheduled.declared.run.project))?;
        Ok(scheduled)
    }

    /// Refuses whoever has not the role for the backfill's project.
    async fn permitted_backfill(&self, caller: &Principal, role: Role, id: BackfillId) -> Result<(), Status> {
        if caller.is_unlimited() {
            return Ok(());
        }
        let project = |state: &State| state.backfill(&id).map(|backfill| backfill.declared.run.project.clone());
        let project = self.read(project).await?.ok_or_else(|| unknown_backfill(id))?;
        caller.require(role, Some(&project))
    }

    async fn commit(&self, command: Command) -> Result<Reply, Status> {
        commit::repeatable(&self.handle, Proposal::from(command)).await
    }

    async fn apply(
        &self,
        caller: &Principal,
        request: v1::ApplySchedulesRequest,
    ) -> Result<v1::ApplySchedulesResponse, Status> {
        if request.schedules.len() > PUT_MAX {
            return Err(invalid(Invalid::new("schedules", format!("are more than {PUT_MAX}"))));
        }
        let now = clock::now();
        // Templates may take a while.
        let checked = tokio::task::spawn_blocking(move || {
            let declare = |schedule: v1::Schedule| {
                let wanted = to_schedule(schedule)?;
                let ticks = check(&wanted.declared, now)?;
                Ok((wanted, ticks))
            };
            request.schedules.into_iter().map(declare).collect::<Result<Vec<_>, Invalid>>()
        });
        let checked = checked.await.map_err(|_| Status::internal("the schedules could not be checked: a defect"))?;
        let wanted = checked.map_err(invalid)?;
        let declared = wanted.iter().map(|(wanted, _)| &wanted.declared);
        let known: Vec<(Option<Scheduled>, Option<SourceGate>)> = self
            .read(|state| {
                let known = |name| (state.schedule(name).cloned(), state.gate(name).cloned());
                declared.clone().map(|declared| known(&declared.name)).collect()
            })
            .await?;
        // Of the projects they are to run, and of those that they have run so far.
        let before = known.iter().filter_map(|(known, _)| known.as_ref()).map(|known| &*known.declared);
        for declared in declared.clone().chain(before) {
            caller.require(Role::Deployer, Some(&declared.run.project))?;
        }
        if declared.clone().any(|declared| declared.calendar.follows().is_some()) {
            let others =
                self.read(|state| state.schedules().map(|(_, known)| known.declared.clone()).collect::<Vec<_>>());
            follows(declared, &others.await?).map_err(invalid)?;
        }
        let mut applied = Vec::with_capacity(wanted.len());
        let mut puts = Vec::with_capacity(wanted.len());
        let mut gates = BTreeMap::new();
        for ((wanted, ticks), (known, known_gate)) in wanted.into_iter().zip(known) {
            let next = coming(&ticks, known.as_ref(), now);
            applied.push(view::applied((known.as_ref(), known_gate.as_ref()), &wanted, next));
            let Wanted { declared, paused, gate } = wanted;
            gates.extend(gate.map(|gate| (declared.name.clone(), gate)));
            if !request.dry_run && paused == Some(false) && known.is_some_and(|known| known.is_paused()) {
                // What the pause kept from being due is recorded.
                self.resume(declared.name.clone()).await?;
            }
            puts.push(PutSchedule { declared, next, paused });
        }
        if !request.dry_run {
            self.commit(Command::DeclareSchedules { puts, gates }).await?;
        }
        Ok(v1::ApplySchedulesResponse { applied })
    }

    /// Lets a paused schedule go on from now.
    async fn resume(&self, name: ScheduleName) -> Result<(), Status> {
        let scheduled = self.find(&name).await?;
        let Some(paused_at) = scheduled.paused_at else { return Ok(()) };
        let ticks = calendar(&scheduled.declared).map_err(invalid)?;
        let now = clock::now();
        let next = coming(&ticks, Some(&scheduled), now);
        let from = scheduled.decided_until.map_or(paused_at, |decided| decided.max(paused_at));
        let slept = ticks.after(from).and_then(|from| {
            let (count, until) = ticks.count(from, now);
            until.map(|until| Slept { from, until, count })
        });
        self.commit(Command::ResumeSchedule { name, next, slept }).await.map(drop)
    }

    async fn trigger(
        &self,
        caller: &Principal,
        request: v1::TriggerScheduleRequest,
    ) -> Result<v1::TriggerScheduleResponse, Status> {
        let name = to_name("name", &request.name).map_err(invalid)?;
        let request_id = to_request(request.request_id).map_err(invalid)?;
        let scheduled = self.permitted(caller, Role::Operator, &name).await?;
        let ticks = calendar(&scheduled.declared).map_err(invalid)?;
        let decided_at = clock::now();
        let scheduled_at = request.scheduled_at.map_or(decided_at, |at| to_timestamp(Some(at)));
        let start = ticks.before(scheduled_at).or(scheduled.decided_until);
        // A tick that is named is run for its own data.
        let times = Times { start, scheduled_at, is_whole_interval: request.scheduled_at.is_some() };
        let planned = ticking::plan(&self.planner, &scheduled.declared, &ticks, times, request_id).await;
        let submission = planned.map_err(|refused| match refused {
            Refused::ForGood(reason) => Status::failed_precondition(reason),
            Refused::ForNow => Status::unavailable("this replica cannot plan the run now"),
        })?;
        let decision = TickDecision {
            schedule: name,
            version: scheduled.version,
            series: Series::Manual,
            scheduled_at,
            next: None,
            decided_at,
            proposal: TickProposal::Run(Box::new(submission)),
        };
        match self.commit(Command::DecideTick(Box::new(decision))).await? {
            Reply::Decided(Decision::Started { run }) => Ok(v1::TriggerScheduleResponse { run_id: run.to_string() }),
            Reply::Decided(Decision::Failed { reason }) => Err(Status::failed_precondition(reason)),
            _ => Err(Status::internal("the state answered something else: a defect")),
        }
    }

    async fn preview(
        &self,
        caller: &Principal,
        request: v1::PreviewTicksRequest,
    ) -> Result<v1::PreviewTicksResponse, Status> {
        let name = to_name("name", &request.name).map_err(invalid)?;
        let scheduled = self.permitted(caller, Role::Viewer, &name).await?;
        let ticks = calendar(&scheduled.declared).map_err(invalid)?;
        let count = if request.count == 0 { PREVIEW_DEFAULT } else { request.count };
        if count > PREVIEW_MAX {
            return Err(invalid(Invalid::new("count", format!("is more than {PREVIEW_MAX}"))));
        }
        let from = request.from.map_or_else(clock::now, |from| to_timestamp(Some(from)));
        let until = request.until.map(|until| to_timestamp(Some(until)));
        let coming = std::iter::successors(ticks.from(from), |tick| ticks.after(*tick));
        let coming = coming.take_while(|tick| until.is_none_or(|until| *tick <= until)).take(count as usize);
        let shown = coming.map(|tick| v1::preview_ticks_response::Preview {
            scheduled_at: Some(timestamp(tick)),
            due_at: Some(timestamp(ticks.upcoming(tick).due_at)),
            local: ticks.local(tick),
        });
        Ok(v1::PreviewTicksResponse { ticks: shown.collect() })
    }

    async fn backfill(
        &self,
        caller: &Principal,
        request: v1::StartBackfillRequest,
    ) -> Result<v1::StartBackfillResponse, Status> {
        let name = to_name("name", &request.name).map_err(invalid)?;
        let from = to_moment("from", request.from).map_err(invalid)?;
        let to = to_moment("to", request.to).map_err(invalid)?;
        let order = match request.order() {
            v1::BackfillOrder::Unspecified | v1::BackfillOrder::OldestFirst => Order::OldestFirst,
            v1::BackfillOrder::NewestFirst => Order::NewestFirst,
        };
        let scheduled = self.permitted(caller, Role::Operator, &name).await?;
        let ticks = calendar(&scheduled.declared).map_err(invalid)?;
        let (total, last) = ticks.count(from, Timestamp(to.as_micros().saturating_sub(1)));
        let (Some(first), Some(last)) = (ticks.from(from), last) else {
            return Err(invalid(Invalid::new("to", "leaves no tick: the schedule is not due between from and to")));
        };
        if total >= COUNT_MAX {
            return Err(invalid(Invalid::new(
                "to",
                format!("leaves {COUNT_MAX} ticks or more; make it smaller backfills"),
            )));
        }
        let (first_at, last_at) = (Some(timestamp(first)), Some(timestamp(last)));
        if request.dry_run {
            return Ok(v1::StartBackfillResponse { backfill_id: 0, ticks: total, first: first_at, last: last_at });
        }
        let command = Command::StartBackfill(Box::new(BackfillRequest {
            schedule: name,
            version: scheduled.version,
            request: to_request(request.request_id).map_err(invalid)?,
            from: first,
            until: last,
            total,
            first: if order == Order::OldestFirst { first } else { last },
            order,
            parallel: request.parallel.max(1),
        }));
        match self.commit(command).await? {
            Reply::BackfillStarted { id, .. } => {
                Ok(v1::StartBackfillResponse { backfill_id: id.0, ticks: total, first: first_at, last: last_at })
            }
            _ => Err(Status::internal("the state answered something else: a defect")),
        }
    }
}

#[tonic::async_trait]
impl ScheduleService for Service {
    async fn apply_schedules(&self, request: Request<v1::ApplySchedulesRequest>) -> Answer<v1::ApplySchedulesResponse> {
        let (_, extensions, request) = request.into_parts();
        self.apply(&Principal::of(&extensions), request).await.map(Response::new)
    }

    async fn get_schedule(&self, request: Request<v1::GetScheduleRequest>) -> Answer<v1::GetScheduleResponse> {
        let (_, extensions, request) = request.into_parts();
        let name = to_name("name", &request.name).map_err(invalid)?;
        self.permitted(&Principal::of(&extensions), Role::Viewer, &name).await?;
        let shown =
            self.read(|state| state.schedule(&name).map(|known| view::status(known, state.gate(&name)))).await?;
        let schedule = Some(shown.ok_or_else(|| unknown(&name))?);
        Ok(Response::new(v1::GetScheduleResponse { schedule }))
    }

    async fn list_schedules(&self, request: Request<v1::ListSchedulesRequest>) -> Answer<v1::ListSchedulesResponse> {
        let (_, extensions, request) = request.into_parts();
        let caller = Principal::of(&extensions);
        let size = pages::size(request.page_size);
        let token = &request.page_token;
        let after = (!token.is_empty()).then(|| to_name("page_token", token)).transpose().map_err(invalid)?;
        let page = self.read(|state| {
            let rest = state.schedules_after(after.as_ref());
            let rest = rest.filter(|(_, known)| caller.may(Role::Viewer, Some(&known.declared.run.project)));
            rest.take(size + 1).map(|(name, scheduled)| view::status(scheduled, state.gate(name))).collect::<Vec<_>>()
        });
        let name = |status: &v1::ScheduleStatus| status.schedule.as_ref().map(|known| known.name.clone());
        let (schedules, next_page_token) = pages::cut(page.await?, size, |status| name(status).unwrap_or_default());
        Ok(Response::new(v1::ListSchedulesResponse { schedules, next_page_token }))
    }

    async fn delete_schedules(
        &self,
        request: Request<v1::DeleteSchedulesRequest>,
    ) -> Answer<v1::DeleteSchedulesResponse> {
        let (_, extensions, v1::DeleteSchedulesRequest { names }) = request.into_parts();
        let names: Result<Vec<_>, _> = names.iter().map(|name| to_name("names", name)).collect();
        let (caller, names) = (Principal::of(&extensions), names.map_err(invalid)?);
        if !caller.is_unlimited() {
            for name in &names {
                self.permitted(&caller, Role::Deployer, name).await?;
            }
        }
        let command = Command::RemoveSchedules { names };
        commit::once(&self.handle, Proposal::from(command)).await?;
        Ok(Response::new(v1::DeleteSchedulesResponse {}))
    }

    async fn pause_schedule(&self, request: Request<v1::PauseScheduleRequest>) -> Answer<v1::PauseScheduleResponse> {
        let (_, extensions, request) = request.into_parts();
        let name = to_name("name", &request.name).map_err(invalid)?;
        self.permitted(&Principal::of(&extensions), Role::Operator, &name).await?;
        self.commit(Command::PauseSchedule { name }).await?;
        Ok(Response::new(v1::PauseScheduleResponse {}))
    }

    async fn resume_schedule(&self, request: Request<v1::ResumeScheduleRequest>) -> Answer<v1::ResumeScheduleResponse> {
        let (_, extensions, request) = request.into_parts();
        let name = to_name("name", &request.name).map_err(invalid)?;
        self.permitted(&Principal::of(&extensions), Role::Operator, &name).await?;
        self.resume(name).await?;
        Ok(Response::new(v1::ResumeScheduleResponse {}))
    }

    async fn trigger_schedule(
        &self,
        request: Request<v1::TriggerScheduleRequest>,
    ) -> Answer<v1::TriggerScheduleResponse> {
        let (_, extensions, request) = request.into_parts();
        self.trigger(&Principal::of(&extensions), request).await.map(Response::new)
    }

    async fn list_ticks(&self, request: Request<v1::ListTicksRequest>) -> Answer<v1::ListTicksResponse> {
        let (_, extensions, request) = request.into_parts();
        let name = to_name("name", &request.name).map_err(invalid)?;
        self.permitted(&Principal::of(&extensions), Role::Viewer, &name).await?;
        let size = pages::size(request.page_size);
        let after = pages::after::<usize>(&request.page_token).map_err(invalid)?.unwrap_or(0);
        let found = self.read(|state| {
            let scheduled = state.schedule(&name)?;
            let rest = scheduled.ticks().rev().enumerate().skip(after).take(size + 1);
            Some(rest.map(|(place, tick)| (place, view::tick(tick))).collect::<Vec<_>>())
        });
        let found = found.await?.ok_or_else(|| unknown(&name))?;
        let (page, next_page_token) = pages::cut(found, size, |(place, _)| (place + 1).to_string());
        let ticks = page.into_iter().map(|(_, tick)| tick).collect();
        Ok(Response::new(v1::ListTicksResponse { ticks, next_page_token }))
    }

    async fn preview_ticks(&self, request: Request<v1::PreviewTicksRequest>) -> Answer<v1::PreviewTicksResponse> {
        let (_, extensions, request) = request.into_parts();
        self.preview(&Principal::of(&extensions), request).await.map(Response::new)
    }

    async fn start_backfill(&self, request: Request<v1::StartBackfillRequest>) -> Answer<v1::StartBackfillResponse> {
        let (_, extensions, request) = request.into_parts();
        self.backfill(&Principal::of(&extensions), request).await.map(Response::new)
    }

    async fn get_backfill(&self, request: Request<v1::GetBackfillRequest>) -> Answer<v1::GetBackfillResponse> {
        let (_, extensions, request) = request.into_parts();
        let id = BackfillId(request.backfill_id);
        self.permitted_backfill(&Principal::of(&extensions), Role::Viewer, id).await?;
        let found = self.read(|state| {
            let backfill = state.backfill(&id)?;
            let ticks = backfill.ticks().skip(backfill.ticks().len().saturating_sub(SHOWN_MAX)).map(view::tick);
            Some((view::backfill(id, backfill), ticks.collect()))
        });
        let (backfill, ticks) = found.await?.ok_or_else(|| unknown_backfill(id))?;
        Ok(Response::new(v1::GetBackfillResponse { backfill: Some(backfill), ticks }))
    }

    async fn list_backfills(&self, request: Request<v1::ListBackfillsRequest>) -> Answer<v1::ListBackfillsResponse> {
        let (_, extensions, v1::ListBackfillsRequest { name }) = request.into_parts();
        let caller = Principal::of(&extensions);
        let backfills = self.read(|state| {
            let of_schedule =
                state.backfills().rev().filter(|(_, known)| name.is_empty() || known.declared.name.as_str() == name);
            let of_schedule =
                of_schedule.filter(|(_, known)| caller.may(Role::Viewer, Some(&known.declared.run.project)));
            of_schedule.map(|(id, backfill)| view::backfill(id, backfill)).collect()
        });
        Ok(Response::new(v1::ListBackfillsResponse { backfills: backfills.await? }))
    }

    async fn steer_backfill(&self, request: Request<v1::SteerBackfillRequest>) -> Answer<v1::SteerBackfillResponse> {
        use v1::steer_backfill_request::Steer as Wire;
        let (_, extensions, request) = request.into_parts();
        let steer = match request.steer() {
            Wire::Unspecified => return Err(invalid(Invalid::missing("steer"))),
            Wire::Pause => Steer::Pause,
            Wire::Resume => Steer::Resume,
            Wire::Cancel => Steer::Cancel,
        };
        let id = BackfillId(request.backfill_id);
        self.permitted_backfill(&Principal::of(&extensions), Role::Operator, id).await?;
        commit::once(&self.handle, Proposal::from(Command::SteerBackfill { id, steer })).await?;
        Ok(Response::new(v1::SteerBackfillResponse {}))
    }
}
