//! `kontiki alert …`

mod file;
mod rows;

use proto::v1::alert_service_client::AlertServiceClient;
use proto::v1::{
    ApplyChannelsRequest, DeleteChannelsRequest, ListChannelsRequest, ListNoticesRequest, TestChannelRequest,
};

use super::args;
use super::connect::Connected;
use super::declared;
use super::show::{Listing, show};
use crate::exit::Exit;
use crate::project::{Call, Refused};

pub fn alerts(call: &Call, verb: &args::Alert) -> Result<Exit, Refused> {
    let cluster = Connected::new(call)?;
    match verb {
        args::Alert::Apply(declare) => apply(&cluster, declare),
        args::Alert::List(shown) => show(call, *shown, || {
            let answer = cluster.ask(|channel| async move {
                AlertServiceClient::new(channel).list_channels(ListChannelsRequest {}).await
            })?;
            Ok(Listing::list(&rows::CHANNELS, answer.channels.iter().map(rows::channel).collect()))
        }),
        args::Alert::Delete { names } => {
            let request = DeleteChannelsRequest { names: names.clone() };
            cluster.ask(|channel| {
                let request = request.clone();
                async move { AlertServiceClient::new(channel).delete_channels(request).await }
            })?;
            call.console.output(&format!("deleted {}", names.join(", ")));
            Ok(Exit::Success)
        }
        args::Alert::Test { name } => {
            let request = TestChannelRequest { name: name.clone() };
            let answer = cluster.ask(|channel| {
                let request = request.clone();
                async move { AlertServiceClient::new(channel).test_channel(request).await }
            })?;
            call.console.output(&format!("{} arrived over {name}", answer.notice_id));
            Ok(Exit::Success)
        }
        args::Alert::History { name, limit, shown } => show(call, *shown, || {
            let request = ListNoticesRequest { channel: name.clone().unwrap_or_default(), limit: *limit };
            let answer = cluster.ask(|channel| {
                let request = request.clone();
                async move { AlertServiceClient::new(channel).list_notices(request).await }
            })?;
            Ok(Listing::list(&rows::NOTICES, answer.notices.iter().map(rows::notice).collect()))
        }),
    }
}

fn apply(cluster: &Connected<'_>, declare: &args::Declare) -> Result<Exit, Refused> {
    let call = cluster.call;
    let opened = call.open()?;
    let channels = file::read(call, &opened, &declared::path(&opened, declare))?;
    let request = ApplyChannelsRequest { channels, dry_run: declare.dry_run };
    let answer = cluster.ask(|channel| {
        let request = request.clone();
        async move { AlertServiceClient::new(channel).apply_channels(request).await }
    })?;
    for applied in &answer.applied {
        let action = declared::done(applied.action(), declare.dry_run);
        call.console.output(&format!("channel {} {action}", applied.name));
    }
    Ok(Exit::Success)
}
