//! What goes wrong, and when.

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The Baton process is killed; it starts again 200 ms later.
    KillBaton,
    /// The server that the step is about is killed.
    KillServer,
    /// The reply to the step is lost: it took effect, and Baton does not know.
    LoseReply,
    /// The old primary comes back.
    ReviveOld,
    /// The store refuses everything for 300 ms.
    StoreAway,
}

/// Before or after the effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the server executes it.
    Before,
    /// After it was executed, before the reply.
    After,
}

/// A fault that waits for the n-th change that Baton sends to a server (counting from the arming).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Which change, from 1.
    pub nth: u32,
    /// Before or after.
    pub moment: Moment,
    /// What happens.
    pub fault: Fault,
}
