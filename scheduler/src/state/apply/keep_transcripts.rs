//! What attempts leave for people to read is kept with their runs, as long as they are. It comes just before their reports, so only the
//! transcript of a live attempt counts.

use common::transcript::Told;

use crate::state::{Entry, Event, Rejection, Reply, State};

pub(super) fn apply(state: &mut State, entry: &mut Entry, transcripts: Vec<Told>) -> Result<Reply, Rejection> {
    let mut kept = 0;
    for Told { assignment, packed } in transcripts {
        let Some(task) = state.runs.get(&assignment.run).and_then(|run| run.find_live(&assignment)) else { continue };
        let stored = state.index.transcript_bytes;
        let transcripts = state.transcripts.entry(assignment.run).or_default();
        let Some((offset, piece)) = transcripts.keep(task, assignment.attempt, packed, stored) else { continue };
        state.digest.mix(&[task.into(), transcripts.length()]);
        state.index.transcript_bytes += piece.len() as u64;
        entry.events.push(Event::TranscriptKept { run: assignment.run, offset, piece });
        kept += 1;
    }
    Ok(Reply::Kept { transcripts: kept })
}
