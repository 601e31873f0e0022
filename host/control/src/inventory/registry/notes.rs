//! What was done to a server's channels, noted by the caller that did it.

use baton_core::ids::ServerId;
use baton_core::time::Timestamp;

use super::Registry;
use super::entry::stamp;

impl Registry {
    /// Notes that a receiver was reconnected, at the end of the statement that started it.
    pub(crate) fn note_reconnected(&self, id: &ServerId, channel: &str, at: Timestamp) {
        if let Some(entry) = self.lock().servers.get_mut(id) {
            stamp(&mut entry.reconnected, channel, at);
        }
    }

    /// Notes that a receiver was severed.
    pub(crate) fn note_severed(&self, id: &ServerId, channel: &str, at: Timestamp) {
        if let Some(entry) = self.lock().servers.get_mut(id) {
            stamp(&mut entry.severed, channel, at);
        }
    }

    /// Notes the delay of a channel that is about to be lifted, so that it can be set back.
    pub(crate) fn note_lifting(&self, id: &ServerId, channel: &str) {
        if let Some(entry) = self.lock().servers.get_mut(id) {
            let channels = entry.facts.iter().flat_map(|facts| &facts.value.channels);
            let mut delayed =
                channels.filter(|found| found.name == channel && !found.delay.is_zero());
            if let Some(delay) = delayed.next().map(|found| found.delay) {
                entry.lifted.retain(|(name, _)| name != channel);
                entry.lifted.push((channel.to_owned(), delay));
            }
        }
    }

    /// Notes that the delay of a channel, or of all, was set again, or that the channel was
    /// removed.
    pub(crate) fn note_delayed(&self, id: &ServerId, channel: Option<&str>) {
        if let Some(entry) = self.lock().servers.get_mut(id) {
            let meant = |name: &str| channel.is_none_or(|channel| channel == name);
            entry.lifted.retain(|(name, _)| !meant(name));
        }
    }

    /// Notes that the receiver of a channel, or of all, was started: it is severed no more.
    pub(crate) fn note_started(&self, id: &ServerId, channel: Option<&str>) {
        if let Some(entry) = self.lock().servers.get_mut(id) {
            let started = |name: &str| channel.is_none_or(|channel| channel == name);
            entry.severed.retain(|(name, _)| !started(name));
        }
    }

    /// Notes that a reconnect failed because the source did not release the receiver.
    pub(crate) fn note_reconnect_failed(&self, id: &ServerId, channel: &str, at: Timestamp) {
        let mut inner = self.lock();
        if let Some(entry) = inner.servers.get_mut(id) {
            stamp(&mut entry.reconnect_failed, channel, at);
        }
        inner.wake_cluster_of(id);
    }
}
