//! A backup as a stream of pieces: the newest Raft snapshot, saved anew where it is not new enough.

use std::io::{BufWriter, Error as IoError, ErrorKind, Result as IoResult, Write};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Error, Handle};
use crate::backup;

const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for whoever takes them.
const AHEAD: usize = 16;

pub(super) async fn of(handle: &Handle) -> Result<mpsc::Receiver<IoResult<Bytes>>, Error> {
    handle.catch_up().await?;
    let raft = handle.shell.raft()?;
    let index = handle.shell.core.standing().0;
    let stopped = |reason: String| Error::Stopped(reason.into());
    loop {
        let before = handle.status().snapshot;
        raft.trigger().snapshot().await.map_err(|fatal| stopped(fatal.to_string()))?;
        // One that was being saved already may come first.
        let is_saved = |snapshot: u64| snapshot >= index || snapshot != before;
        if handle.status_when(|status| is_saved(status.snapshot)).await?.snapshot >= index {
            break;
        }
    }
    let snapshot = raft.get_snapshot().await.map_err(|error| stopped(error.to_string()))?;
    let content = snapshot.ok_or(Error::Unavailable { reason: "it has no snapshot yet" })?.snapshot;
    let cluster = handle.status().cluster;
    let blobs = handle.shell.core.blobs().clone();
    let (sender, pieces) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(PIECE_BYTES, Pieces(sender.clone()));
        if let Err(error) = backup::write(cluster, &content, &blobs, &mut out) {
            // What is left in the buffer is of no use.
            let _ = out.into_parts();
            // Nobody takes any more, or is told why it ends here.
            let _ = sender.blocking_send(Err(error));
        }
    });
    Ok(pieces)
}

struct Pieces(mpsc::Sender<IoResult<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| IoError::from(ErrorKind::BrokenPipe))
    }

    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }
}
