//! The patch corpus beside the checkout.
