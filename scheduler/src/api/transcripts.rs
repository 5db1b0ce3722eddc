//! What attempts left for people to read, out of this replica's files.
//!
//! Invariant: the state says where each transcript lies, and its checksum says whether it is there; what this replica lacks it calls
//! unavailable, since another has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use common::{NodeId, RunId};
use futures::stream::{BoxStream, StreamExt};
use proto::transcript::{UNPACKED_BYTES_MAX, bytes, unpack};
use proto::v1::{self, ReadTranscriptsResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::replica::Handle;
use crate::state::transcripts::{self, Place, Transcripts};
use crate::state::{Run, State};

/// Transcripts that wait for one client.
const AHEAD_MAX: usize = 8;

pub type Stream = BoxStream<'static, Result<ReadTranscriptsResponse, Status>>;

/// The transcripts of some attempts of a run, and where they lie on this replica.
pub struct Chosen {
    file: PathBuf,
    places: Vec<(NodeId, Place)>,
}

impl Chosen {
    pub fn new(handle: &Handle, run: RunId, places: Vec<(NodeId, Place)>) -> Self {
        Self { file: handle.transcripts(run), places }
    }

    /// Those that can be read here, by attempt; of one task. The last ones, as many as fit into one answer.
    pub async fn by_attempt(self) -> BTreeMap<u32, v1::Transcript> {
        let read = tokio::task::spawn_blocking(move || {
            let mut file = None;
            let mut left = UNPACKED_BYTES_MAX as usize;
            let found = self.places.iter().rev().map_while(|(_, place)| {
                let Ok(transcript) = read(&self.file, &mut file, place) else { return Some(None) };
                left = left.checked_sub(bytes(&transcript))?;
                Some(Some((place.attempt.0, transcript)))
            });
            found.flatten().collect()
        });
        read.await.unwrap_or_default()
    }

    /// All of them; ends with an error where one cannot be read here.
    pub fn stream(self) -> Stream {
        let (sender, receiver) = mpsc::channel(AHEAD_MAX);
        tokio::task::spawn_blocking(move || {
            let mut file = None;
            for (node, place) in &self.places {
                let answer = read(&self.file, &mut file, place).map(|transcript| ReadTranscriptsResponse {
                    node_id: node.to_string(),
                    attempt: place.attempt.0,
                    transcript: Some(transcript),
                });
                let is_last = answer.is_err();
                // The client's pace is ours; one that is gone wants no more.
                if sender.blocking_send(answer).is_err() || is_last {
                    return;
                }
            }
        });
        ReceiverStream::new(receiver).boxed()
    }
}

/// Where the transcripts of the given tasks lie, of all tasks where none is given; or the name of one that the run does not have.
pub fn choose(state: &State, run: &Run, nodes: &[NodeId], last_only: bool) -> Result<Vec<(NodeId, Place)>, NodeId> {
    let wanted: BTreeSet<u32> =
        nodes.iter().map(|node| run.find(node).ok_or_else(|| node.clone())).collect::<Result<_, _>>()?;
    let is_wanted = |place: &Place| wanted.is_empty() || wanted.contains(&place.task);
    // Of what was kept twice, the second.
    let mut last: BTreeMap<(u32, u32), Place> = BTreeMap::new();
    let all = state.transcripts_of(&run.id).into_iter().flat_map(Transcripts::places);
    for place in all.filter(is_wanted) {
        last.insert((place.task, if last_only { 0 } else { place.attempt.0 }), place);
    }
    let mut places: Vec<Place> = last.into_values().collect();
    places.sort_unstable_by_key(|place| place.bytes.start);
    let named = |place: Place| Some((run.tasks().get(place.task as usize)?.node.clone(), place));
    Ok(places.into_iter().filter_map(named).collect())
}

fn read(path: &PathBuf, file: &mut Option<File>, place: &Place) -> Result<v1::Transcript, Status> {
    let piece = read_piece(path, file, place).map_err(|error| missing(&error))?;
    let packed = transcripts::open(piece).ok_or_else(|| missing(&"its checksum does not match"))?;
    unpack(&packed.0).map_err(|invalid| Status::data_loss(invalid.to_string()))
}

fn read_piece(path: &PathBuf, file: &mut Option<File>, place: &Place) -> io::Result<Vec<u8>> {
    let file = match file {
        Some(file) => file,
        None => file.insert(File::open(path)?),
    };
    let length = usize::try_from(place.bytes.end - place.bytes.start).map_err(io::Error::other)?;
    let mut piece = vec![0; length];
    file.read_exact_at(&mut piece, place.bytes.start)?;
    Ok(piece)
}

fn missing(reason: &dyn std::fmt::Display) -> Status {
    Status::unavailable(format!("this replica lacks a transcript: {reason}"))
}
