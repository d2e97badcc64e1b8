//! Downloading one blob: once, however many pulls want it; retried and resumed where it broke off.
//!
//! Invariants: no more is written than the manifest announces; a blob is stored only when its digest is right.

use std::sync::{Arc, PoisonError, Weak};

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_RANGE, HeaderMap};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{Meter, Puller, blocking, wait_before_retry};
use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::registry::{Session, body_chunk};
use crate::spec::Descriptor;
use crate::store::BlobWriter;

/// Pieces of a body that wait for the disk.
const WRITE_QUEUE: usize = 16;

impl Puller {
    /// The gate that downloads of one blob pass one by one.
    fn gate(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(digest).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::new(tokio::sync::Mutex::new(()));
        gates.insert(*digest, Arc::downgrade(&gate));
        gate
    }

    pub(super) async fn download(
        &self,
        session: &Session<'_>,
        blob: &Descriptor,
        image: &str,
        meter: &Meter,
    ) -> Result<()> {
        let gate = self.gate(&blob.digest);
        let _turn = gate.lock().await;
        if self.store.blob_size(&blob.digest).is_some() {
            meter.add(blob.size);
            return Ok(());
        }
        // The semaphore is never closed, so acquiring cannot fail; if it did, downloading more at once harms nobody.
        let _permit = self.permits.acquire().await.ok();
        let what = format!("blob {} of {image}", blob.digest);
        let mut writer = self
            .store
            .blob_writer(&what, ("layer_bytes", self.store.limits().layer_bytes))?;
        let mut attempt = 1;
        loop {
            let (back, outcome) = self.attempt(session, blob, &what, writer, meter).await?;
            writer = back;
            match outcome {
                Ok(()) => break,
                Err(error)
                    if error.is_transient() && attempt < self.store.limits().download_attempts =>
                {
                    tracing::debug!(what, attempt, %error, "download broke off, trying again");
                    wait_before_retry(attempt).await;
                    attempt += 1;
                }
                Err(error) => {
                    meter.take_back(writer.written());
                    return Err(error);
                }
            }
        }
        let digest = blob.digest;
        blocking(move || writer.commit(&digest)).await.map(drop)
    }

    /// One try at the rest of a blob. The writer comes back, so that the next try goes on where this one ended.
    async fn attempt(
        &self,
        session: &Session<'_>,
        blob: &Descriptor,
        what: &str,
        mut writer: BlobWriter,
        meter: &Meter,
    ) -> Result<(BlobWriter, Result<()>)> {
        let start = writer.written();
        let response = match session
            .get("blobs", &blob.digest.to_string(), "*/*", what, start)
            .await
        {
            Ok(response) => response,
            Err(ImageError::Registry {
                status: 416, host, ..
            }) => {
                // The registry does not know the rest: from the beginning then.
                meter.take_back(start);
                writer.reset()?;
                let detail = "it cannot resume".to_owned();
                return Ok((
                    writer,
                    Err(ImageError::Network {
                        operation: format!("read {what} from"),
                        host,
                        detail,
                    }),
                ));
            }
            Err(error) => return Ok((writer, Err(error))),
        };
        let resumes = response.status() == StatusCode::PARTIAL_CONTENT
            && resumes_at(response.headers(), start);
        if start > 0 && !resumes {
            meter.take_back(start);
            writer.reset()?;
        }
        let written = writer.written();
        let (sender, receiver) = mpsc::channel(WRITE_QUEUE);
        let writing = spawn_blocking(move || write(writer, receiver));
        let mut body = response.into_body();
        let reading = async {
            let mut total = written;
            while let Some(chunk) = body_chunk(&mut body, &session.endpoint.host, what).await? {
                total += chunk.len() as u64;
                if total > blob.size {
                    return Err(ImageError::corrupt(
                        what,
                        format!(
                            "it is longer than the {} bytes its manifest says",
                            blob.size
                        ),
                    ));
                }
                let length = chunk.len() as u64;
                if sender.send(chunk).await.is_err() {
                    // The writer gave up and says why.
                    return Ok(());
                }
                meter.add(length);
            }
            if total < blob.size {
                return Err(ImageError::Network {
                    operation: format!("read {what} from"),
                    host: session.endpoint.host.clone(),
                    detail: format!("it ended after {total} of {} bytes", blob.size),
                });
            }
            Ok(())
        };
        let read = reading.await;
        drop(sender);
        let (writer, wrote) = writing
            .await
            .map_err(|error| ImageError::corrupt(what, format!("writing it failed: {error}")))?;
        Ok((writer, wrote.and(read)))
    }
}

fn resumes_at(headers: &HeaderMap, start: u64) -> bool {
    let range = headers
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

fn write(mut writer: BlobWriter, mut chunks: mpsc::Receiver<Bytes>) -> (BlobWriter, Result<()>) {
    while let Some(chunk) = chunks.blocking_recv() {
        if let Err(error) = writer.write(&chunk) {
            return (writer, Err(error));
        }
    }
    (writer, Ok(()))
}
