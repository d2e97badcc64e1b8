//! One direction of one stream: a bounded buffer between the application and
//! the connection's task.
//!
//! The application holds a [`Reader`] or a [`Writer`]; the connection holds the
//! [`Pipe`]. Bytes that the application writes ring the connection's
//! [`Doorbell`], and so do bytes it has read, so that credit goes back to the
//! peer. Invariants: a pipe holds at most [`STREAM_BUFFER`] bytes and a chunk
//! more; dropping a `Writer` ends the stream cleanly; dropping a `Reader` turns
//! what still comes into nothing; both can be done from any task, at any time.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// Bytes one direction of one stream may hold before its writer waits. Also
/// SPDY's initial window, so that a peer that never asks has the same bound.
pub const STREAM_BUFFER: usize = 64 * 1024;

/// The most that leaves in one frame or message.
pub(crate) const MAX_CHUNK: usize = 32 * 1024;

/// Wakes a connection's task with the number of each stream that wants
/// something. A number waits at most once, so it is bounded by the streams.
#[derive(Default)]
pub(crate) struct Doorbell {
    waiting: Mutex<Waiting>,
    notify: Notify,
}

#[derive(Default)]
struct Waiting {
    order: VecDeque<u32>,
    known: HashSet<u32>,
}

impl Doorbell {
    pub(crate) fn ring(&self, stream: u32) {
        let mut waiting = lock(&self.waiting);
        if waiting.known.insert(stream) {
            waiting.order.push_back(stream);
            drop(waiting);
            self.notify.notify_one();
        }
    }

    pub(crate) fn pop(&self) -> Option<u32> {
        let mut waiting = lock(&self.waiting);
        let stream = waiting.order.pop_front()?;
        waiting.known.remove(&stream);
        Some(stream)
    }

    /// Resolves once something rang since the last [`Doorbell::pop`] that gave `None`.
    pub(crate) async fn rung(&self) {
        self.notify.notified().await;
    }
}

/// How a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// Its writer was done.
    Clean,
    /// It was cut: reset, or the connection was lost.
    Cut(io::ErrorKind),
}

/// What the connection finds in an outbound pipe.
pub(crate) enum Taken {
    /// Nothing, for now or for good.
    Nothing,
    /// Bytes, and whether the stream ends with them.
    Data { bytes: Bytes, last: bool },
    /// The application gave the stream up.
    Reset,
}

pub(crate) struct Pipe {
    stream: u32,
    bell: Arc<Doorbell>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    buffer: BytesMut,
    end: Option<End>,
    /// The end was taken by the connection, or the stream was.
    closed: bool,
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    drain: Option<Waker>,
    /// Bytes taken out since the last [`Pipe::take_credit`].
    consumed: usize,
}

impl State {
    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn close(&mut self) {
        self.closed = true;
        if let Some(waker) = self.drain.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

impl Pipe {
    pub(crate) fn new(stream: u32, bell: &Arc<Doorbell>) -> Arc<Self> {
        Arc::new(Self {
            stream,
            bell: bell.clone(),
            state: Mutex::default(),
        })
    }

    /// Inbound: waits until bytes may come, or nobody wants them any more.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.buffer.len() < STREAM_BUFFER || state.reader_gone || state.end.is_some() {
            return Poll::Ready(());
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Inbound: gives bytes to the application.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut state = lock(&self.state);
        if state.end.is_some() {
            return;
        }
        if state.reader_gone {
            state.consumed += bytes.len();
            drop(state);
            self.bell.ring(self.stream);
            return;
        }
        state.buffer.extend_from_slice(bytes);
        state.wake_reader();
    }

    /// Inbound: no more comes. What is buffered can still be read.
    pub(crate) fn end(&self, end: End) {
        let mut state = lock(&self.state);
        state.end.get_or_insert(end);
        state.wake_reader();
        state.wake_writer();
    }

    /// Inbound: bytes the application read, once they are worth a frame.
    pub(crate) fn take_credit(&self, least: usize) -> usize {
        let mut state = lock(&self.state);
        if state.consumed < least {
            return 0;
        }
        std::mem::take(&mut state.consumed)
    }

    /// Outbound: takes what may leave now.
    pub(crate) fn take(&self, most: usize) -> Taken {
        let mut state = lock(&self.state);
        if state.closed {
            return Taken::Nothing;
        }
        if let Some(End::Cut(_)) = state.end {
            state.close();
            return Taken::Reset;
        }
        let size = state.buffer.len().min(most);
        let last = state.end.is_some() && size == state.buffer.len();
        if size == 0 && !last {
            return Taken::Nothing;
        }
        let bytes = state.buffer.split_to(size).freeze();
        if last {
            state.close();
        }
        state.wake_writer();
        Taken::Data { bytes, last }
    }

    /// Outbound: whether bytes or an end still wait to be taken.
    pub(crate) fn has_more(&self) -> bool {
        let state = lock(&self.state);
        !state.closed && (!state.buffer.is_empty() || state.end.is_some())
    }

    /// Outbound: nothing will leave any more; writers learn of it.
    pub(crate) fn sever(&self) {
        let mut state = lock(&self.state);
        state.close();
        state.end.get_or_insert(End::Cut(io::ErrorKind::BrokenPipe));
        state.buffer.clear();
        state.wake_writer();
        state.wake_reader();
    }

    /// Outbound: ends the stream after what is buffered.
    pub(crate) fn finish(&self) {
        let mut state = lock(&self.state);
        state.end.get_or_insert(End::Clean);
        state.wake_writer();
        drop(state);
        self.bell.ring(self.stream);
    }

    /// Outbound: waits until the connection took all there was to take.
    pub(crate) async fn drained(&self) {
        std::future::poll_fn(|cx| {
            let mut state = lock(&self.state);
            if state.closed {
                return Poll::Ready(());
            }
            state.drain = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Outbound: gives the stream up, with what is buffered.
    fn abort(&self) {
        let mut state = lock(&self.state);
        state.buffer.clear();
        if state.end != Some(End::Clean) || !state.closed {
            state.end = Some(End::Cut(io::ErrorKind::ConnectionReset));
        }
        drop(state);
        self.bell.ring(self.stream);
    }
}

/// What comes from the peer on one stream. An error says that the stream was
/// cut; a clean end is a read of nothing.
pub struct Reader(pub(crate) Arc<Pipe>);

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pipe = &self.0;
        let mut state = lock(&pipe.state);
        let size = state.buffer.len().min(into.remaining());
        if size > 0 {
            into.put_slice(&state.buffer[..size]);
            state.buffer.advance(size);
            state.consumed += size;
            let ring = state.consumed >= STREAM_BUFFER / 2;
            state.wake_writer();
            drop(state);
            if ring {
                pipe.bell.ring(pipe.stream);
            }
            return Poll::Ready(Ok(()));
        }
        match state.end {
            _ if into.remaining() == 0 => Poll::Ready(Ok(())),
            Some(End::Clean) => Poll::Ready(Ok(())),
            Some(End::Cut(kind)) => Poll::Ready(Err(kind.into())),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.reader_gone = true;
        state.consumed += state.buffer.len();
        state.buffer = BytesMut::new();
        state.wake_writer();
        drop(state);
        self.0.bell.ring(self.0.stream);
    }
}

/// What goes to the peer on one stream. `shutdown`, or dropping it, ends the
/// stream after all that was written.
pub struct Writer(pub(crate) Arc<Pipe>);

impl Writer {
    /// Gives the stream up: the peer sees it cut rather than ended.
    pub fn abort(self) {
        self.0.abort();
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let pipe = &self.0;
        let mut state = lock(&pipe.state);
        if state.end.is_some() || state.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let size = bytes
            .len()
            .min(STREAM_BUFFER.saturating_sub(state.buffer.len()));
        if size == 0 && !bytes.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.buffer.extend_from_slice(&bytes[..size]);
        drop(state);
        pipe.bell.ring(pipe.stream);
        Poll::Ready(Ok(size))
    }

    /// Does nothing: the connection sends as soon as the peer takes it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// Both directions of one stream.
pub struct Duplex {
    /// What comes.
    pub reader: Reader,
    /// What goes.
    pub writer: Writer,
}

impl Duplex {
    /// The halves, for two tasks.
    pub fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }
}

impl AsyncRead for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, into)
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}

/// A lock whose data stays consistent between statements, so that a panic
/// elsewhere does not spoil it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pipe() -> (Arc<Doorbell>, Arc<Pipe>) {
        let bell = Arc::new(Doorbell::default());
        let pipe = Pipe::new(7, &bell);
        (bell, pipe)
    }

    #[tokio::test]
    async fn a_writer_waits_when_the_buffer_is_full_and_goes_on_when_it_is_taken() {
        let (bell, pipe) = pipe();
        let mut writer = Writer(pipe.clone());
        writer.write_all(&[1; STREAM_BUFFER]).await.unwrap();
        assert_eq!(bell.pop(), Some(7));
        let more = tokio::spawn(async move {
            writer.write_all(&[2; 10]).await.unwrap();
        });
        tokio::task::yield_now().await;
        assert!(!more.is_finished());
        let mut left = 0;
        while let Taken::Data { bytes, .. } = pipe.take(MAX_CHUNK) {
            left += bytes.len();
            tokio::task::yield_now().await;
        }
        more.await.unwrap();
        while let Taken::Data { bytes, last } = pipe.take(MAX_CHUNK) {
            left += bytes.len();
            if last {
                break;
            }
        }
        assert_eq!(left, STREAM_BUFFER + 10);
        assert!(!pipe.has_more());
    }

    #[tokio::test]
    async fn dropping_the_writer_ends_after_the_buffered_bytes() {
        let (_, pipe) = pipe();
        let mut writer = Writer(pipe.clone());
        writer.write_all(b"abc").await.unwrap();
        drop(writer);
        match pipe.take(2) {
            Taken::Data { bytes, last } => assert_eq!((&bytes[..], last), (&b"ab"[..], false)),
            _ => panic!("no data"),
        }
        match pipe.take(2) {
            Taken::Data { bytes, last } => assert_eq!((&bytes[..], last), (&b"c"[..], true)),
            _ => panic!("no data"),
        }
        assert!(matches!(pipe.take(2), Taken::Nothing));
    }

    #[tokio::test]
    async fn an_aborted_writer_is_seen_as_reset() {
        let (_, pipe) = pipe();
        let mut writer = Writer(pipe.clone());
        writer.write_all(b"abc").await.unwrap();
        writer.abort();
        assert!(matches!(pipe.take(10), Taken::Reset));
        assert!(matches!(pipe.take(10), Taken::Nothing));
    }

    #[tokio::test]
    async fn a_reader_gets_what_is_buffered_before_it_learns_of_the_cut() {
        let (_, pipe) = pipe();
        let mut reader = Reader(pipe.clone());
        pipe.push(b"abc");
        pipe.end(End::Cut(io::ErrorKind::ConnectionReset));
        let mut buffer = [0; 10];
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 3);
        let error = reader.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_dropped_reader_takes_everything_and_gives_credit() {
        let (bell, pipe) = pipe();
        let reader = Reader(pipe.clone());
        pipe.push(&[0; STREAM_BUFFER]);
        drop(reader);
        assert_eq!(bell.pop(), Some(7));
        std::future::poll_fn(|cx| pipe.poll_room(cx)).await;
        pipe.push(b"more");
        assert_eq!(pipe.take_credit(1), STREAM_BUFFER + 4);
    }

    #[tokio::test]
    async fn a_severed_pipe_breaks_its_writer() {
        let (_, pipe) = pipe();
        let mut writer = Writer(pipe.clone());
        writer.write_all(&[1; STREAM_BUFFER]).await.unwrap();
        let blocked = tokio::spawn(async move { writer.write_all(b"x").await });
        tokio::task::yield_now().await;
        pipe.sever();
        assert_eq!(
            blocked.await.unwrap().unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
