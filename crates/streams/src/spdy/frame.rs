//! SPDY/3.1 frames on the wire.
//!
//! Pure. Control frames are read whole and are small; data is not, so that its
//! frames, which may announce 16 MiB, are handed on as they come. Invariants: a
//! control frame past [`MAX_CONTROL`] is refused before it is read; what does
//! not follow the draft is an error that ends the connection, but unknown kinds
//! of control frames are skipped, as the draft asks.

use super::headers::{Headers, MAX_HEADER_BLOCK, MAX_HEADERS, Packer, Unpacker};

/// Bytes of one control frame behind its head.
pub(crate) const MAX_CONTROL: usize = 64 * 1024;

/// Bytes before each frame.
pub(crate) const HEAD: usize = 8;

const VERSION: u16 = 3;
const STREAM_MASK: u32 = 0x7fff_ffff;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const SETTINGS: u16 = 4;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const WINDOW_UPDATE: u16 = 9;

const FLAG_FIN: u8 = 1;

const SETTING_MAX_STREAMS: u32 = 4;
const SETTING_WINDOW: u32 = 7;

/// Why a stream is reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reset {
    ProtocolError = 1,
    InvalidStream = 2,
    Refused = 3,
    Cancel = 5,
}

/// Why a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Goodbye {
    Ok = 0,
    ProtocolError = 1,
}

/// What makes a connection end: the peer does not speak SPDY/3.1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("SPDY version {0}, not 3")]
    Version(u16),
    #[error("a control frame of {0} bytes, over the limit of {MAX_CONTROL}")]
    TooLarge(usize),
    #[error("control frame {kind} is {size} bytes long")]
    Size { kind: u16, size: usize },
    #[error("stream 0 does not exist")]
    StreamZero,
    #[error("headers do not unpack")]
    Compression,
    #[error("headers over the limit of {MAX_HEADER_BLOCK} bytes")]
    HeaderBlock,
    #[error("{0} headers, over the limit of {MAX_HEADERS}")]
    TooManyHeaders(usize),
    #[error("headers are cut off")]
    CutHeaders,
    #[error("headers are not UTF-8")]
    HeaderText,
}

/// The head of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Head {
    Data { stream: u32, fin: bool, size: usize },
    Control { kind: u16, fin: bool, size: usize },
}

impl Head {
    pub(crate) fn parse(bytes: [u8; HEAD]) -> Result<Self, FrameError> {
        let [a, b, c, d, flags, x, y, z] = bytes;
        let size = u32::from_be_bytes([0, x, y, z]) as usize;
        let fin = flags & FLAG_FIN != 0;
        if a & 0x80 == 0 {
            let stream = u32::from_be_bytes([a, b, c, d]);
            if stream == 0 {
                return Err(FrameError::StreamZero);
            }
            return Ok(Self::Data { stream, fin, size });
        }
        let version = u16::from_be_bytes([a & 0x7f, b]);
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        if size > MAX_CONTROL {
            return Err(FrameError::TooLarge(size));
        }
        let kind = u16::from_be_bytes([c, d]);
        Ok(Self::Control { kind, fin, size })
    }
}

/// A control frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Control {
    SynStream {
        stream: u32,
        headers: Headers,
        fin: bool,
    },
    SynReply {
        stream: u32,
        headers: Headers,
        fin: bool,
    },
    /// Headers in the course of a stream: of no meaning here but their end.
    Headers {
        stream: u32,
        fin: bool,
    },
    RstStream {
        stream: u32,
        status: u32,
    },
    Settings {
        window: Option<u32>,
        max_streams: Option<u32>,
    },
    Ping(u32),
    Goaway {
        last_stream: u32,
        status: u32,
    },
    WindowUpdate {
        stream: u32,
        delta: u32,
    },
    Unknown,
}

impl Control {
    /// Reads what stands behind a control frame's head.
    pub(crate) fn parse(
        kind: u16,
        fin: bool,
        payload: &[u8],
        unpacker: &mut Unpacker,
    ) -> Result<Self, FrameError> {
        let word = |index: usize| -> Result<u32, FrameError> {
            let bytes = payload.get(index * 4..).and_then(<[u8]>::first_chunk::<4>);
            let size = payload.len();
            let bytes = bytes.ok_or(FrameError::Size { kind, size })?;
            Ok(u32::from_be_bytes(*bytes))
        };
        let block = |offset: usize| {
            let size = payload.len();
            payload.get(offset..).ok_or(FrameError::Size { kind, size })
        };
        Ok(match kind {
            SYN_STREAM => Self::SynStream {
                stream: existing(word(0)?)?,
                headers: unpacker.unpack(block(10)?)?,
                fin,
            },
            SYN_REPLY => Self::SynReply {
                stream: existing(word(0)?)?,
                headers: unpacker.unpack(block(4)?)?,
                fin,
            },
            HEADERS => {
                let stream = existing(word(0)?)?;
                // Unpacked for the compression's state.
                unpacker.unpack(block(4)?)?;
                Self::Headers { stream, fin }
            }
            RST_STREAM => Self::RstStream {
                stream: existing(word(0)?)?,
                status: word(1)?,
            },
            SETTINGS => settings(payload)?,
            PING => Self::Ping(word(0)?),
            GOAWAY => Self::Goaway {
                last_stream: word(0)? & STREAM_MASK,
                status: word(1)?,
            },
            WINDOW_UPDATE => Self::WindowUpdate {
                stream: word(0)? & STREAM_MASK,
                delta: word(1)? & STREAM_MASK,
            },
            _ => Self::Unknown,
        })
    }

    /// The frame, ready to send.
    pub(crate) fn encode(&self, packer: &mut Packer) -> Result<Vec<u8>, FrameError> {
        let words = |words: &[u32]| words.iter().flat_map(|w| w.to_be_bytes()).collect();
        let (kind, fin, payload): (u16, bool, Vec<u8>) = match self {
            Self::SynStream {
                stream,
                headers,
                fin,
            } => {
                let mut payload: Vec<u8> = words(&[*stream, 0]);
                payload.extend_from_slice(&[0, 0]);
                payload.extend(packer.pack(headers)?);
                (SYN_STREAM, *fin, payload)
            }
            Self::SynReply {
                stream,
                headers,
                fin,
            } => {
                let mut payload: Vec<u8> = words(&[*stream]);
                payload.extend(packer.pack(headers)?);
                (SYN_REPLY, *fin, payload)
            }
            Self::Headers { stream, fin } => {
                let mut payload: Vec<u8> = words(&[*stream]);
                payload.extend(packer.pack(&Headers::default())?);
                (HEADERS, *fin, payload)
            }
            Self::RstStream { stream, status } => (RST_STREAM, false, words(&[*stream, *status])),
            Self::Settings {
                window,
                max_streams,
            } => {
                let pairs = [(SETTING_MAX_STREAMS, max_streams), (SETTING_WINDOW, window)];
                let given = pairs.into_iter().filter_map(|(id, v)| Some([id, (*v)?]));
                let given: Vec<u32> = given.flatten().collect();
                let count = u32::from(window.is_some()) + u32::from(max_streams.is_some());
                let mut payload: Vec<u8> = words(&[count]);
                payload.extend::<Vec<u8>>(words(&given));
                (SETTINGS, false, payload)
            }
            Self::Ping(id) => (PING, false, words(&[*id])),
            Self::Goaway {
                last_stream,
                status,
            } => (GOAWAY, false, words(&[*last_stream, *status])),
            Self::WindowUpdate { stream, delta } => {
                (WINDOW_UPDATE, false, words(&[*stream, *delta]))
            }
            Self::Unknown => return Ok(Vec::new()),
        };
        let mut frame = Vec::with_capacity(HEAD + payload.len());
        frame.extend_from_slice(&(VERSION | 0x8000).to_be_bytes());
        frame.extend_from_slice(&kind.to_be_bytes());
        frame.extend_from_slice(&flags_and_size(fin, payload.len()));
        frame.extend(payload);
        Ok(frame)
    }
}

/// The head of a data frame.
pub(crate) fn data_head(stream: u32, fin: bool, size: usize) -> [u8; HEAD] {
    let [a, b, c, d] = (stream & STREAM_MASK).to_be_bytes();
    let [flags, x, y, z] = flags_and_size(fin, size);
    [a, b, c, d, flags, x, y, z]
}

fn flags_and_size(fin: bool, size: usize) -> [u8; 4] {
    // Frames sent are at most a chunk or a header block long, far below 2^24.
    let [_, x, y, z] = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
    [if fin { FLAG_FIN } else { 0 }, x, y, z]
}

fn existing(stream: u32) -> Result<u32, FrameError> {
    match stream & STREAM_MASK {
        0 => Err(FrameError::StreamZero),
        stream => Ok(stream),
    }
}

fn settings(payload: &[u8]) -> Result<Control, FrameError> {
    let size = payload.len();
    let wrong = FrameError::Size {
        kind: SETTINGS,
        size,
    };
    let Some((count, entries)) = payload.split_first_chunk::<4>() else {
        return Err(wrong);
    };
    if u32::from_be_bytes(*count) as usize != entries.len() / 8 || entries.len() % 8 != 0 {
        return Err(wrong);
    }
    let (mut window, mut max_streams) = (None, None);
    for entry in entries.chunks_exact(8) {
        let [_, i, j, k, value @ ..] = entry else {
            return Err(wrong);
        };
        let value = value.first_chunk().map(|v| u32::from_be_bytes(*v));
        match u32::from_be_bytes([0, *i, *j, *k]) {
            SETTING_WINDOW => window = value.map(|v| v & STREAM_MASK),
            SETTING_MAX_STREAMS => max_streams = value,
            _ => {}
        }
    }
    Ok(Control::Settings {
        window,
        max_streams,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(control: &Control) -> Control {
        let frame = control.encode(&mut Packer::new().unwrap()).unwrap();
        let head = Head::parse(*frame.first_chunk().unwrap()).unwrap();
        let Head::Control { kind, fin, size } = head else {
            panic!("a data frame");
        };
        assert_eq!(size, frame.len() - HEAD);
        Control::parse(kind, fin, &frame[HEAD..], &mut Unpacker::new()).unwrap()
    }

    #[test]
    fn every_control_frame_is_read_as_it_was_written() {
        let headers = Headers::new(&[("streamType", "stdin")]);
        for control in [
            Control::SynStream {
                stream: 5,
                headers: headers.clone(),
                fin: true,
            },
            Control::SynReply {
                stream: 5,
                headers,
                fin: false,
            },
            Control::Headers {
                stream: 3,
                fin: true,
            },
            Control::RstStream {
                stream: 1,
                status: Reset::Cancel as u32,
            },
            Control::Settings {
                window: Some(70_000),
                max_streams: Some(9),
            },
            Control::Settings {
                window: Some(1),
                max_streams: None,
            },
            Control::Ping(77),
            Control::Goaway {
                last_stream: 9,
                status: Goodbye::ProtocolError as u32,
            },
            Control::WindowUpdate {
                stream: 0,
                delta: 32_768,
            },
        ] {
            assert_eq!(there_and_back(&control), control);
        }
    }

    #[test]
    fn a_data_head_is_read_as_it_was_written() {
        let head = Head::parse(data_head(7, true, 70_000)).unwrap();
        let expected = Head::Data {
            stream: 7,
            fin: true,
            size: 70_000,
        };
        assert_eq!(head, expected);
    }

    #[test]
    fn frames_that_break_the_draft_are_refused() {
        let heads = [
            ([0x80, 2, 0, 1, 0, 0, 0, 0], FrameError::Version(2)),
            ([0x80, 3, 0, 1, 0, 1, 0, 1], FrameError::TooLarge(0x1_0001)),
            ([0, 0, 0, 0, 0, 0, 0, 1], FrameError::StreamZero),
        ];
        for (bytes, error) in heads {
            assert_eq!(Head::parse(bytes).unwrap_err(), error);
        }
        let payloads: [(u16, &[u8]); 8] = [
            (SYN_STREAM, &[0, 0, 0, 1, 0]),
            (SYN_REPLY, &[0, 0]),
            (RST_STREAM, &[0, 0, 0, 0, 0, 0, 0, 1]),
            (RST_STREAM, &[0, 0, 0, 1]),
            (SETTINGS, &[0, 0, 0, 9]),
            (PING, &[]),
            (GOAWAY, &[0, 0, 0, 0]),
            (WINDOW_UPDATE, &[0, 0, 0, 1]),
        ];
        for (kind, payload) in payloads {
            assert!(
                Control::parse(kind, false, payload, &mut Unpacker::new()).is_err(),
                "{kind}"
            );
        }
    }

    #[test]
    fn unknown_control_frames_are_skipped() {
        let control = Control::parse(99, false, b"anything", &mut Unpacker::new());
        assert_eq!(control.unwrap(), Control::Unknown);
    }
}
