//! Transcripts of operations: how things look and what happens go in, what is noted and done comes
//! out.

mod documented;
mod dry_run;
mod play;
mod rejoin;
mod relocation;
mod replacement;
mod resumed;
mod small_worlds;
