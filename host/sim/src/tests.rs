//! Stories that no scenario tells: coincidences that have to be arranged.

mod epochs;
mod late;
