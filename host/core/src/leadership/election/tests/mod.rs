//! Elections: transcripts of one node, and all interleavings of two.

mod interleavings;
mod play;
mod transcripts;
