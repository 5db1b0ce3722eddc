//! Files that clients upload, piece by piece.
//!
//! Invariants: nothing of a file enters the log before all of it has arrived here and has the digest it was announced with, so
//! whoever sends something else under a digest damages nothing; files under way never take more memory than [`BUFFERED_MAX`], over all
//! clients; a client that stops sending gives its share back.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use common::ContentDigest;
use futures::{Stream, StreamExt};
use proto::project::{PIECE_BYTES_MAX, Piece, to_piece};
use proto::v1::UploadBlobsRequest;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tonic::Status;

use super::{commit, refusal};
use crate::leader::Proposal;
use crate::replica::{Consistency, Handle};
use crate::state::Command;

/// Most bytes of one file.
pub const FILE_BYTES_MAX: u64 = 32 << 20;
/// Most bytes of files that are not committed yet, over all uploads.
const BUFFERED_MAX: usize = 128 << 20;
/// Files of one upload that are committed at once; the leader puts them into few appends.
const COMMITS_MAX: usize = 32;
/// A client that sends nothing for so long is given up.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// What an upload did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uploaded {
    /// Files that were not held before.
    pub files: u64,
    pub bytes: u64,
}

/// Room for files that have not been committed yet; in units of one piece.
#[derive(Clone)]
pub struct Uploads {
    room: Arc<Semaphore>,
}

impl Uploads {
    pub fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(BUFFERED_MAX / PIECE_BYTES_MAX)) }
    }

    /// Takes files until the client has sent all, and returns when all are committed.
    pub async fn receive(
        &self,
        handle: &Handle,
        traceparent: Option<String>,
        pieces: impl Stream<Item = Result<UploadBlobsRequest, Status>> + Send + Unpin,
    ) -> Result<Uploaded, Status> {
        let mut pieces = pieces;
        let mut assembly: Option<Assembly> = None;
        let mut commits = JoinSet::new();
        let mut uploaded = Uploaded::default();
        while let Some(piece) = next(&mut pieces).await? {
            let mut file = match assembly.take() {
                Some(file) => file,
                None => self.begin(handle, &piece).await?,
            };
            file.push(piece)?;
            if !file.is_whole() {
                assembly = Some(file);
                continue;
            }
            if let Some(whole) = file.finish()? {
                while commits.len() >= COMMITS_MAX {
                    done(commits.join_next().await)?;
                }
                uploaded.files += 1;
                uploaded.bytes += whole.content.len() as u64;
                commits.spawn(put(handle.clone(), whole, traceparent.clone()));
            }
        }
        if let Some(file) = assembly {
            let message =
                format!("the upload ended after {} of the {} bytes of {}", file.received, file.size, file.digest);
            return Err(Status::invalid_argument(message));
        }
        while !commits.is_empty() {
            done(commits.join_next().await)?;
        }
        Ok(uploaded)
    }

    async fn begin(&self, handle: &Handle, first: &Piece) -> Result<Assembly, Status> {
        let &Piece { digest, size, .. } = first;
        if size > FILE_BYTES_MAX {
            let message = format!("the file {digest} has {size} bytes; {FILE_BYTES_MAX} are the most");
            return Err(refusal::exhausted(message));
        }
        let is_held = |state: &crate::State| state.projects().blob(&digest).is_some_and(|blob| blob.is_complete());
        let is_held = handle.read(Consistency::Stale, is_held).await.map_err(|error| refusal::failed(&error))?;
        let content = if is_held {
            None
        } else {
            let pieces = usize::try_from(size).unwrap_or(usize::MAX).div_ceil(PIECE_BYTES_MAX).max(1);
            let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
            let room = tokio::time::timeout(IDLE_MAX, Arc::clone(&self.room).acquire_many_owned(pieces)).await;
            let Ok(Ok(room)) = room else {
                return Err(refusal::exhausted("this replica is busy with other uploads"));
            };
            Some((BytesMut::new(), room))
        };
        Ok(Assembly { digest, size, received: 0, content })
    }
}

async fn next(
    pieces: &mut (impl Stream<Item = Result<UploadBlobsRequest, Status>> + Unpin),
) -> Result<Option<Piece>, Status> {
    let piece = tokio::time::timeout(IDLE_MAX, pieces.next()).await;
    let piece = piece.map_err(|_| Status::deadline_exceeded("the upload stopped without having ended"))?;
    let piece = piece.transpose()?.map(to_piece).transpose();
    piece.map_err(|invalid| refusal::invalid(&invalid))
}

/// A file of which some pieces have arrived.
struct Assembly {
    digest: ContentDigest,
    size: u64,
    received: u64,
    /// None where the cluster holds the file: what the client sends is not looked at.
    content: Option<(BytesMut, OwnedSemaphorePermit)>,
}

/// A file that is what it was announced to be.
struct Whole {
    digest: ContentDigest,
    content: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Assembly {
    fn push(&mut self, piece: Piece) -> Result<(), Status> {
        if piece.digest != self.digest || piece.size != self.size || piece.offset != self.received {
            return Err(Status::invalid_argument(format!(
                "after {} of the {} bytes of {} come {} bytes of {} at {}: files come one after another, each from its first byte",
                self.received,
                self.size,
                self.digest,
                piece.data.len(),
                piece.digest,
                piece.offset
            )));
        }
        self.received += piece.data.len() as u64;
        if let Some((content, _)) = &mut self.content {
            content.extend_from_slice(&piece.data);
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.received == self.size
    }

    fn finish(self) -> Result<Option<Whole>, Status> {
        let Some((content, room)) = self.content else { return Ok(None) };
        let found = ContentDigest(Sha256::digest(&content).into());
        if found != self.digest {
            let message = format!("the file announced as {} is {found}", self.digest);
            return Err(Status::invalid_argument(message));
        }
        Ok(Some(Whole { digest: self.digest, content: content.freeze(), _room: room }))
    }
}

/// Commits the pieces of a file, in order. An empty file has one.
async fn put(handle: Handle, whole: Whole, traceparent: Option<String>) -> Result<(), Status> {
    let Whole { digest, content, _room } = whole;
    let size = content.len() as u64;
    let mut offset = 0;
    loop {
        let end = content.len().min(offset + PIECE_BYTES_MAX);
        let bytes = content[offset..end].to_vec();
        let command = Command::PutBlob { digest, size, offset: offset as u64, bytes };
        commit::repeatable(&handle, Proposal::new(command, traceparent.clone())).await?;
        offset = end;
        if offset == content.len() {
            return Ok(());
        }
    }
}

fn done(joined: Option<Result<Result<(), Status>, tokio::task::JoinError>>) -> Result<(), Status> {
    match joined {
        Some(Ok(outcome)) => outcome,
        Some(Err(_)) => Err(Status::internal("a file could not be committed")),
        None => Ok(()),
    }
}
