//! The netlink socket: requests with acknowledgement, dumps, and nf_tables batches.
//!
//! Invariants: the kernel processes a request inside `sendmsg`, so its answer is
//! queued when the call returns and a missing answer is an error, never a wait.

use super::wire::{self, HEADER_LEN, Message, NLM_F_ACK, NLM_F_DUMP, answers, find};
use crate::error::NetError;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto,
    socket,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;
/// Set on an error answer that does not repeat the whole request.
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;
/// Room for one datagram of a dump; the kernel sends at most 32 KiB unless asked for more.
const RECEIVE_BYTES: usize = 256 * 1024;
/// The receive queue holds the acknowledgements and errors of a whole batch.
const RECEIVE_QUEUE_BYTES: libc::c_int = 8 * 1024 * 1024;
/// A dump that changes under our hands is repeated this often.
const DUMP_ATTEMPTS: usize = 8;

/// Which part of the kernel a socket speaks to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocol {
    Route,
    Netfilter,
}

/// A netlink socket bound to the namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    seq: u32,
}

impl Socket {
    pub(crate) fn open(protocol: Protocol) -> Result<Self, NetError> {
        let protocol = match protocol {
            Protocol::Route => SockProtocol::NetlinkRoute,
            Protocol::Netfilter => SockProtocol::NetlinkNetFilter,
        };
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            protocol,
        )
        .map_err(|e| failed("open", e))?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(|e| failed("bind", e))?;
        // Better error texts; an old kernel without them still works.
        let _ = set_option(&fd, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, 1);
        let _ = set_option(&fd, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1);
        let _ = set_option(
            &fd,
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            RECEIVE_QUEUE_BYTES,
        );
        Ok(Self { fd, seq: 1 })
    }

    fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1).max(1);
        self.seq
    }

    /// Sends one request and waits for the kernel's verdict.
    pub(crate) fn request(&mut self, mut message: Message) -> Result<(), NetError> {
        message.set_flags(NLM_F_ACK);
        let op = message.op().to_owned();
        let seq = self.next_seq();
        self.send(&message.finish(seq)?)?;
        let mut verdict = None;
        self.drain(|answer| {
            if answer.seq == seq && answer.kind == NLMSG_ERROR {
                verdict = Some(error_of(answer));
            }
        })?;
        match verdict {
            Some((0, _)) => Ok(()),
            Some((errno, detail)) => Err(refused(op, detail, errno)),
            None => Err(failed("receive an answer", nix::errno::Errno::ENODATA)),
        }
    }

    /// Collects what `read` makes of every object of a dump.
    pub(crate) fn dump<T>(
        &mut self,
        message: &Message,
        read: impl Fn(u16, &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, NetError> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(found) = self.dump_once(message, &read)? {
                return Ok(found);
            }
        }
        Err(failed("dump (it kept changing)", nix::errno::Errno::EINTR))
    }

    fn dump_once<T>(
        &mut self,
        message: &Message,
        read: &impl Fn(u16, &[u8]) -> Option<T>,
    ) -> Result<Option<Vec<T>>, NetError> {
        let mut message = message.clone();
        message.set_flags(NLM_F_DUMP);
        let op = message.op().to_owned();
        let seq = self.next_seq();
        self.send(&message.finish(seq)?)?;
        let mut buf = vec![0; RECEIVE_BYTES];
        let (mut found, mut interrupted) = (Vec::new(), false);
        loop {
            let len = match recv(self.fd.as_raw_fd(), &mut buf, MsgFlags::empty()) {
                Ok(len) => len,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(e) => return Err(failed("receive", e)),
            };
            for answer in answers(&buf[..len]).filter(|a| a.seq == seq) {
                interrupted |= answer.flags & NLM_F_DUMP_INTR != 0;
                match answer.kind {
                    NLMSG_DONE => return Ok((!interrupted).then_some(found)),
                    NLMSG_ERROR => {
                        let (errno, detail) = error_of(&answer);
                        return Err(refused(op, detail, errno));
                    }
                    kind => found.extend(read(kind, answer.payload)),
                }
            }
        }
    }

    /// Sends `messages` as one datagram; the kernel does all of them or none.
    /// The last message asks for the acknowledgement that proves the commit.
    pub(crate) fn batch(
        &mut self,
        begin: Message,
        messages: Vec<Message>,
        end: Message,
    ) -> Result<(), NetError> {
        let Some(last) = messages.len().checked_sub(1) else {
            return Ok(());
        };
        let size = begin.len() + end.len() + messages.iter().map(Message::len).sum::<usize>();
        let mut bytes = Vec::with_capacity(size);
        bytes.extend(begin.finish(self.next_seq())?);
        let first_seq = self.seq.wrapping_add(1);
        let mut ops = Vec::with_capacity(messages.len());
        for (i, mut message) in messages.into_iter().enumerate() {
            if i == last {
                message.set_flags(NLM_F_ACK);
            }
            ops.push(message.op().to_owned());
            bytes.extend(message.finish(self.next_seq())?);
        }
        let last_seq = self.seq;
        bytes.extend(end.finish(self.next_seq())?);
        self.grow_send_buffer(bytes.len())?;
        self.send(&bytes)?;
        let (mut acknowledged, mut failure) = (false, None);
        self.drain(|answer| {
            if answer.kind != NLMSG_ERROR {
                return;
            }
            match error_of(answer) {
                (0, _) => acknowledged |= answer.seq == last_seq,
                (errno, detail) if failure.is_none() => {
                    let at = usize::try_from(answer.seq.wrapping_sub(first_seq)).ok();
                    let op = at
                        .and_then(|i| ops.get(i))
                        .map_or("commit the batch", String::as_str);
                    failure = Some(refused(op.to_owned(), detail, errno));
                }
                _ => {}
            }
        })?;
        match (failure, acknowledged) {
            (Some(e), _) => Err(e),
            (None, true) => Ok(()),
            (None, false) => Err(failed("receive an answer", nix::errno::Errno::ENODATA)),
        }
    }

    /// The kernel copies a batch as one packet, so it must fit the send buffer.
    fn grow_send_buffer(&self, bytes: usize) -> Result<(), NetError> {
        let wanted =
            libc::c_int::try_from(bytes.saturating_mul(2).max(256 * 1024)).map_err(|_| {
                NetError::TooLarge {
                    op: "nf_tables batch".to_owned(),
                }
            })?;
        set_option(&self.fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, wanted).map_err(|source| {
            NetError::Socket {
                op: "grow the send buffer",
                source,
            }
        })
    }

    fn send(&self, bytes: &[u8]) -> Result<(), NetError> {
        debug_assert!(bytes.len() >= HEADER_LEN);
        sendto(
            self.fd.as_raw_fd(),
            bytes,
            &NetlinkAddr::new(0, 0),
            MsgFlags::empty(),
        )
        .map_err(|e| failed("send", e))
        .map(drop)
    }

    /// Feeds everything that is queued now to `each`.
    fn drain(&self, mut each: impl FnMut(&wire::Answer<'_>)) -> Result<(), NetError> {
        let mut buf = vec![0; RECEIVE_BYTES];
        loop {
            match recv(self.fd.as_raw_fd(), &mut buf, MsgFlags::MSG_DONTWAIT) {
                Ok(len) => answers(&buf[..len]).for_each(|a| each(&a)),
                Err(nix::errno::Errno::EAGAIN) => return Ok(()),
                Err(nix::errno::Errno::EINTR) => {}
                Err(e) => return Err(failed("receive", e)),
            }
        }
    }
}

fn failed(op: &'static str, errno: nix::errno::Errno) -> NetError {
    NetError::Socket {
        op,
        source: errno.into(),
    }
}

fn refused(op: String, detail: String, errno: i32) -> NetError {
    let detail = if detail.is_empty() {
        detail
    } else {
        format!(" ({detail})")
    };
    NetError::Netlink {
        op,
        detail,
        source: io::Error::from_raw_os_error(errno),
    }
}

/// The positive error number (0 for an acknowledgement) and the kernel's text.
fn error_of(answer: &wire::Answer<'_>) -> (i32, String) {
    let code =
        wire::u32_at(answer.payload, 0).map_or(libc::EPROTO, |c| c.cast_signed().wrapping_neg());
    let mut text = String::new();
    if answer.flags & NLM_F_ACK_TLVS != 0 {
        // After the code comes the request's header, and unless capped its body.
        let request = if answer.flags & NLM_F_CAPPED != 0 {
            HEADER_LEN
        } else {
            wire::u32_at(answer.payload, 4)
                .and_then(|l| usize::try_from(l).ok())
                .unwrap_or(HEADER_LEN)
        };
        let at = 4 + request.next_multiple_of(4);
        if let Some(msg) = answer
            .payload
            .get(at..)
            .and_then(|tlvs| find(tlvs, NLMSGERR_ATTR_MSG))
        {
            text = wire::string(msg);
        }
    }
    (code, text)
}

fn set_option(
    fd: &OwnedFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(io::Error::other)?;
    // SAFETY: `fd` is an open socket for the whole call, and the pointer and size
    // describe `value`, an initialised int on this stack that the kernel only reads.
    let done =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
