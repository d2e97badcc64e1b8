//! Whole-cluster tests live beside this file.
