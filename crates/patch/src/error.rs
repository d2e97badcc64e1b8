//! What a client is told when a patch cannot be applied.
//!
//! Reasons and messages are those that kube-apiserver gives; some of them are
//! odd (a missing merge key is a 500), and clients have grown used to them.

use object::Reason;

/// What the API server says instead of the details of a failed patch.
const REJECTED: &str = "the server rejected our request due to an error in our request";

/// A patch that was not applied. `Display` is the message for the client.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PatchError {
    /// The body is not a patch of its kind.
    #[error("{0}")]
    Malformed(String),
    /// More operations than [`crate::json::MAX_OPERATIONS`].
    #[error(
        "Request entity too large: The allowed maximum operations in a JSON patch is {limit}, got {count}"
    )]
    TooManyOperations {
        /// Operations sent.
        count: usize,
        /// Operations allowed.
        limit: usize,
    },
    /// The patch does not fit the object. The client only hears that it was
    /// rejected; `detail` is for the log.
    #[error("{REJECTED}")]
    Rejected {
        /// What did not fit.
        detail: String,
    },
    /// A strategic merge patch that breaks its rules in a way for which upstream
    /// has no status of its own.
    #[error("{0}")]
    Broken(String),
}

impl PatchError {
    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::TooManyOperations { .. } => 413,
            Self::Rejected { .. } => 422,
            Self::Broken(_) => 500,
        }
    }

    /// `reason` of the `Status`; [`Reason::Unknown`] where upstream gives none.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::BadRequest,
            Self::TooManyOperations { .. } => Reason::RequestEntityTooLarge,
            Self::Rejected { .. } => Reason::Invalid,
            Self::Broken(_) => Reason::Unknown,
        }
    }

    /// More than the client hears, for the log.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Rejected { detail } => Some(detail),
            _ => None,
        }
    }

    pub(crate) fn rejected(detail: impl Into<String>) -> Self {
        Self::Rejected {
            detail: detail.into(),
        }
    }
}
