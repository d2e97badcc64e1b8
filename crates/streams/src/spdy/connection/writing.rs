//! The loop that sends: control frames first, then the streams that rang, a
//! chunk each.
//!
//! Reads outbound pipes and the queue of control frames; writes the connection.
//! Invariant: it flushes before it waits.

use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::mpsc;

use super::{CONNECTION, MAX_STREAMS, Mux, RESET, reset};
use crate::StreamError;
use crate::pipe::{MAX_CHUNK, STREAM_BUFFER, Taken, lock};
use crate::session::LINGER;
use crate::spdy::frame::{Control, Goodbye, Reset, data_head};
use crate::spdy::headers::Packer;

/// What a stream that rang gets.
struct Turn {
    credit: usize,
    send: Taken,
}

impl Mux {
    pub(super) async fn write<W: AsyncWrite>(
        &self,
        io: W,
        mut queue: mpsc::Receiver<Control>,
    ) -> Result<(), StreamError> {
        let mut io = std::pin::pin!(BufWriter::with_capacity(2 * MAX_CHUNK, io));
        let mut packer = Packer::new()?;
        let greeting = Control::Settings {
            window: u32::try_from(STREAM_BUFFER).ok(),
            max_streams: u32::try_from(MAX_STREAMS).ok(),
        };
        io.write_all(&greeting.encode(&mut packer)?).await?;
        let mut closing = false;
        loop {
            while let Ok(control) = queue.try_recv() {
                io.write_all(&control.encode(&mut packer)?).await?;
                if matches!(control, Control::Goaway { .. }) {
                    // Only sent after a violation; the reading side knows which.
                    io.flush().await?;
                    drop(queue);
                    return std::future::pending().await;
                }
            }
            if let Some(stream) = self.bell.pop() {
                self.serve(stream, &mut io, &mut packer).await?;
                continue;
            }
            io.flush().await?;
            if closing && self.drained() {
                break;
            }
            tokio::select! {
                () = self.bell.rung() => {}
                Some(control) = queue.recv() => {
                    io.write_all(&control.encode(&mut packer)?).await?;
                    if matches!(control, Control::Goaway { .. }) {
                        io.flush().await?;
                        drop(queue);
                        return std::future::pending().await;
                    }
                }
                () = self.life.closing.cancelled(), if !closing => {
                    closing = true;
                    for stream in lock(&self.table).streams.values() {
                        stream.outbound.finish();
                    }
                }
            }
        }
        let last_stream = lock(&self.table).last_accepted;
        let goodbye = Control::Goaway {
            last_stream,
            status: Goodbye::Ok as u32,
        };
        io.write_all(&goodbye.encode(&mut packer)?).await?;
        io.shutdown().await?;
        tokio::time::sleep(LINGER).await;
        Ok(())
    }

    /// Sends what one stream, or the connection, has to send now.
    async fn serve<W>(
        &self,
        stream: u32,
        io: &mut W,
        packer: &mut Packer,
    ) -> Result<(), StreamError>
    where
        W: AsyncWriteExt + Unpin,
    {
        let Turn { credit, send } = self.turn(stream);
        if credit > 0 {
            let update = Control::WindowUpdate {
                stream,
                delta: u32::try_from(credit).unwrap_or(u32::MAX),
            };
            io.write_all(&update.encode(packer)?).await?;
        }
        match send {
            Taken::Nothing => return Ok(()),
            Taken::Reset => {
                let reset = reset(stream, Reset::Cancel);
                io.write_all(&reset.encode(packer)?).await?;
            }
            Taken::Data { bytes, last } => {
                io.write_all(&data_head(stream, last, bytes.len())).await?;
                io.write_all(&bytes).await?;
            }
        }
        self.life.touch();
        Ok(())
    }

    fn turn(&self, stream: u32) -> Turn {
        let mut table = lock(&self.table);
        if stream == CONNECTION {
            let credit = if table.counts {
                std::mem::take(&mut table.received)
            } else {
                0
            };
            return Turn {
                credit,
                send: Taken::Nothing,
            };
        }
        let (counts, connection_window) = (table.counts, table.connection_window);
        let Some(entry) = table.streams.get_mut(&stream) else {
            return Turn {
                credit: 0,
                send: Taken::Nothing,
            };
        };
        let credit = if !counts || entry.remote_closed {
            0
        } else {
            entry.inbound.take_credit(STREAM_BUFFER / 2)
        };
        let allowed = if counts {
            let allowed = entry.window.min(connection_window);
            usize::try_from(allowed).unwrap_or(0).min(MAX_CHUNK)
        } else {
            MAX_CHUNK
        };
        let send = entry.outbound.take(allowed);
        match &send {
            Taken::Nothing => {}
            Taken::Reset => table.cut(stream, RESET),
            Taken::Data { bytes, last } => {
                // At most a chunk.
                let size = bytes.len() as i64;
                entry.window -= size;
                if *last {
                    entry.local_closed = true;
                } else if entry.outbound.has_more() {
                    self.bell.ring(stream);
                }
                if entry.local_closed && entry.remote_closed {
                    table.streams.remove(&stream);
                }
                table.connection_window -= size;
            }
        }
        Turn { credit, send }
    }

    /// Whether nothing is left to send.
    fn drained(&self) -> bool {
        let table = lock(&self.table);
        table.streams.values().all(|stream| stream.local_closed)
    }
}
