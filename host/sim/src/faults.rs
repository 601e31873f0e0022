//! What goes wrong, and when.

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The Baton process that acts is killed. A single one starts again 200 ms later; one of
    /// several is needed no more.
    KillNode,
    /// The Baton process that acts is frozen; it goes on when another node had time to take over.
    FreezeNode,
    /// The backend's active node is killed.
    KillBackend,
    /// Both are killed at once.
    KillBoth,
    /// The Baton process that acts is cut off from everything but the server that the step is
    /// about.
    IsolateNode,
    /// The server that the step is about is killed.
    KillServer,
    /// The server that takes writes is killed.
    KillPrimary,
    /// The Baton process that acts is killed, and the server that the step is about, or else the
    /// one that takes writes, answers nobody for a moment.
    KillNodeHushServer,
    /// The same, and that server goes on only when the faults end.
    KillNodeFreezeServer,
    /// The reply to the step is lost: it took effect, and Baton does not know.
    LoseReply,
    /// The old primary comes back.
    ReviveOld,
    /// The backend refuses everything for 300 ms.
    StoreAway,
    /// The whole backend goes away and stays away until the faults end.
    BackendGone,
}

/// Before or after the effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it is executed.
    Before,
    /// After it was executed, before the reply.
    After,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A change sent to a server.
    Change,
    /// A write of a recovery to the backend: its journal, its row, the primary, the routes.
    Journal,
}

/// A fault that waits for the n-th point (counting from the arming).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// What is counted.
    pub point: Point,
    /// Which of them, from 1.
    pub nth: u32,
    /// Before or after.
    pub moment: Moment,
    /// What happens.
    pub fault: Fault,
}
