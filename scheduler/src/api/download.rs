//! A file of this replica, in pieces. The client's pace is ours: the next piece is read when it has room for it.

use std::io::ErrorKind;
use std::path::Path;

use bytes::BytesMut;
use futures::stream::{self, BoxStream, StreamExt};
use proto::project::PIECE_BYTES_MAX;
use proto::v1::DownloadBlobResponse;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tonic::Status;

/// Fails before the stream begins where the file cannot be opened.
pub async fn file(path: &Path) -> Result<BoxStream<'static, Result<DownloadBlobResponse, Status>>, Status> {
    let file = File::open(path).await.map_err(|error| unreadable(&error))?;
    Ok(stream::try_unfold(file, piece).boxed())
}

async fn piece(mut file: File) -> Result<Option<(DownloadBlobResponse, File)>, Status> {
    let mut data = BytesMut::with_capacity(PIECE_BYTES_MAX);
    while data.len() < PIECE_BYTES_MAX {
        if file.read_buf(&mut data).await.map_err(|error| unreadable(&error))? == 0 {
            break;
        }
    }
    if data.is_empty() { Ok(None) } else { Ok(Some((DownloadBlobResponse { data: data.freeze() }, file))) }
}

/// Another replica has the file too.
fn unreadable(error: &std::io::Error) -> Status {
    match error.kind() {
        ErrorKind::NotFound => Status::unavailable("this replica does not have the file yet"),
        _ => Status::unavailable(format!("this replica cannot read the file: {error}")),
    }
}
