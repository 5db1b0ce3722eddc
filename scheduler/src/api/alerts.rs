//! `kontiki.v1.AlertService`: declaring channels, trying them out, and what became of alerts.

use std::time::Duration;

use common::alert::{Alert, Channel};
use proto::alert::{channel, kind, to_channel};
use proto::invalid::Invalid;
use proto::scalar::timestamp;
use proto::schedule::to_name;
use proto::v1;
use proto::v1::alert_service_server::AlertService;
use proto::v1::applied_schedule::Action;
use tonic::{Request, Response, Status};

use super::{commit, refusal};
use crate::alerts::check;
use crate::leader::Proposal;
use crate::replica::{Consistency, Handle};
use crate::state::alerts::{CHANNELS_MAX, Ended, Notice, NoticeId};
use crate::state::{Command, Reply, State};

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 1_000;
/// Who tries a channel out waits for so long.
const TEST_MAX: Duration = Duration::from_secs(30);

pub struct Service {
    handle: Handle,
}

type Answer<T> = Result<Response<T>, Status>;

impl Service {
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    async fn read<T>(&self, question: impl FnOnce(&State) -> T) -> Result<T, Status> {
        self.handle.read(Consistency::Linearizable, question).await.map_err(|error| refusal::failed(&error))
    }

    async fn apply(&self, request: v1::ApplyChannelsRequest) -> Result<v1::ApplyChannelsResponse, Status> {
        if request.channels.len() > CHANNELS_MAX {
            return Err(refusal::invalid(&Invalid::new("channels", format!("are more than {CHANNELS_MAX}"))));
        }
        let declare = |declared: v1::Channel| {
            let declared = to_channel(declared)?;
            check(&declared)
                .map_err(|problem| Invalid::new("receiver", format!("of channel '{}': {problem}", declared.name)))?;
            Ok(declared)
        };
        // Templates may take a while.
        let declared = tokio::task::spawn_blocking(move || {
            request.channels.into_iter().map(declare).collect::<Result<Vec<Channel>, Invalid>>()
        });
        let declared = declared.await.map_err(|_| Status::internal("the channels could not be checked: a defect"))?;
        let declared = declared.map_err(|invalid| refusal::invalid(&invalid))?;
        let action = |state: &State, declared: &Channel| match state.alerts().channel(&declared.name) {
            None => Action::Created,
            Some(known) if **known == *declared => Action::Unchanged,
            Some(_) => Action::Changed,
        };
        let applied = self.read(|state| {
            let told = |declared: &Channel| v1::apply_channels_response::Applied {
                name: declared.name.to_string(),
                action: action(state, declared).into(),
            };
            declared.iter().map(told).collect()
        });
        let applied = applied.await?;
        if !request.dry_run {
            self.commit(Command::PutChannels { channels: declared }).await?;
        }
        Ok(v1::ApplyChannelsResponse { applied })
    }

    async fn commit(&self, command: Command) -> Result<Reply, Status> {
        commit::repeatable(&self.handle, Proposal::from(command)).await
    }

    async fn test(&self, name: &str) -> Result<NoticeId, Status> {
        let name = to_name("name", name).map_err(|invalid| refusal::invalid(&invalid))?;
        let Reply::Noticed(id) = self.commit(Command::TestChannel { name }).await? else {
            return Err(Status::internal("the state answered something else: a defect"));
        };
        let mut applied = self.handle.applied();
        let settled = async {
            loop {
                applied.mark_unchanged();
                let ended = self.read(|state| state.alerts().ended().find(|ended| ended.id == id).cloned()).await?;
                if let Some(Ended { error, .. }) = ended {
                    return error.map_or(Ok(id), |error| Err(Status::failed_precondition(error)));
                }
                // Whatever becomes of it is an entry.
                applied.changed().await.map_err(|_| Status::unavailable("this replica has stopped"))?;
            }
        };
        let timeout = |_| Status::deadline_exceeded("the leader has not sent it yet");
        tokio::time::timeout(TEST_MAX, settled).await.map_err(timeout)?
    }
}

#[tonic::async_trait]
impl AlertService for Service {
    async fn apply_channels(&self, request: Request<v1::ApplyChannelsRequest>) -> Answer<v1::ApplyChannelsResponse> {
        self.apply(request.into_inner()).await.map(Response::new)
    }

    async fn list_channels(&self, _: Request<v1::ListChannelsRequest>) -> Answer<v1::ListChannelsResponse> {
        let channels = self.read(|state| state.alerts().channels().map(|known| channel(known)).collect()).await?;
        Ok(Response::new(v1::ListChannelsResponse { channels }))
    }

    async fn delete_channels(&self, request: Request<v1::DeleteChannelsRequest>) -> Answer<v1::DeleteChannelsResponse> {
        let names = request.into_inner().names;
        let names = names.iter().map(|name| to_name("names", name)).collect::<Result<Vec<_>, _>>();
        let names = names.map_err(|invalid| refusal::invalid(&invalid))?;
        commit::once(&self.handle, Proposal::from(Command::RemoveChannels { names })).await?;
        Ok(Response::new(v1::DeleteChannelsResponse {}))
    }

    async fn test_channel(&self, request: Request<v1::TestChannelRequest>) -> Answer<v1::TestChannelResponse> {
        let id = self.test(&request.into_inner().name).await?;
        Ok(Response::new(v1::TestChannelResponse { notice_id: id.to_string() }))
    }

    async fn list_notices(&self, request: Request<v1::ListNoticesRequest>) -> Answer<v1::ListNoticesResponse> {
        let v1::ListNoticesRequest { channel, limit } = request.into_inner();
        let limit = if limit == 0 { LIMIT_DEFAULT } else { limit.min(LIMIT_MAX) } as usize;
        let notices = self.read(|state| {
            let is_of = |name: &common::ScheduleName| channel.is_empty() || name.as_str() == channel;
            let pending = state.alerts().notices().filter(|(_, notice)| is_of(&notice.channel));
            let pending: Vec<_> = pending.map(|(id, notice)| pending_view(id, notice)).collect();
            let ended = state.alerts().ended().rev().filter(|ended| is_of(&ended.channel)).map(ended_view);
            pending.into_iter().rev().chain(ended).take(limit).collect()
        });
        Ok(Response::new(v1::ListNoticesResponse { notices: notices.await? }))
    }
}

fn pending_view(id: NoticeId, notice: &Notice) -> v1::Notice {
    v1::Notice {
        notice_id: id.to_string(),
        channel: notice.channel.to_string(),
        state: v1::NoticeState::Pending.into(),
        failures: notice.failures,
        error: notice.error.clone().unwrap_or_default(),
        ..alert_view(&notice.alert)
    }
}

fn ended_view(ended: &Ended) -> v1::Notice {
    let state = if ended.error.is_some() { v1::NoticeState::GivenUp } else { v1::NoticeState::Arrived };
    v1::Notice {
        notice_id: ended.id.to_string(),
        channel: ended.channel.to_string(),
        state: state.into(),
        ended_at: Some(timestamp(ended.at)),
        failures: ended.failures,
        error: ended.error.clone().unwrap_or_default(),
        ..alert_view(&ended.alert)
    }
}

fn alert_view(alert: &Alert) -> v1::Notice {
    v1::Notice {
        kind: kind(alert.kind).into(),
        at: Some(timestamp(alert.at)),
        schedule: alert.schedule.as_ref().map(ToString::to_string).unwrap_or_default(),
        scheduled_at: alert.scheduled_at.map(timestamp),
        run_id: alert.run.map(|run| run.to_string()).unwrap_or_default(),
        summary: alert.summary(),
        ..v1::Notice::default()
    }
}
