//! Cancel requests: they come on a connection of their own and name another by process id and secret.

use std::collections::HashMap;
use std::sync::Arc;

use alluvia_core::Session;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// One connection as a cancel request sees it.
pub struct CancelTarget {
    session: Arc<Session>,
    /// Ends waits of the server's own, such as for a client that doesn't read; new for each message.
    message: Mutex<CancellationToken>,
}

impl CancelTarget {
    pub fn new(session: Arc<Session>) -> Arc<Self> {
        Arc::new(Self { session, message: Mutex::default() })
    }

    /// A token for the message that begins now: requests that came before don't touch it.
    pub fn begin(&self) -> CancellationToken {
        let token = CancellationToken::new();
        *self.message.lock() = token.clone();
        token
    }

    /// Cancels what runs now; nothing when the session is idle.
    pub fn cancel(&self) {
        self.session.cancel();
        self.message.lock().cancel();
    }
}

/// Every open connection by process id.
#[derive(Default)]
pub struct CancelRegistry {
    targets: Mutex<HashMap<i32, (Bytes, Arc<CancelTarget>)>>,
}

impl CancelRegistry {
    pub fn register(self: &Arc<Self>, process_id: i32, secret: Bytes, target: Arc<CancelTarget>) -> Registration {
        self.targets.lock().insert(process_id, (secret, target));
        Registration { registry: Arc::clone(self), process_id }
    }

    /// A wrong id or secret does nothing, and the caller isn't told.
    pub fn cancel(&self, process_id: i32, secret: &[u8]) {
        let target = match self.targets.lock().get(&process_id) {
            Some((expected, target)) if same(expected, secret) => Arc::clone(target),
            _ => return,
        };
        target.cancel();
    }
}

/// Takes the connection off the registry when it ends.
pub struct Registration {
    registry: Arc<CancelRegistry>,
    process_id: i32,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.targets.lock().remove(&self.process_id);
    }
}

/// Random bytes that only this connection's client learns: 4 of them in protocol 3.0, 32 in 3.2.
pub fn secret(length: usize) -> Bytes {
    // A version 4 UUID is random bits, but for version and variant in the bytes 6 and 8.
    let mut bytes = Vec::with_capacity(length + 16);
    while bytes.len() < length {
        let uuid = Uuid::new_v4();
        bytes.extend(uuid.as_bytes().iter().enumerate().filter(|(at, _)| ![6, 8].contains(at)).map(|(_, byte)| *byte));
    }
    bytes.truncate(length);
    bytes.into()
}

/// Compares without ending early at the first difference.
fn same(expected: &[u8], given: &[u8]) -> bool {
    expected.len() == given.len() && expected.iter().zip(given).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_have_their_length() {
        assert_eq!(secret(4).len(), 4);
        assert_eq!(secret(32).len(), 32);
        assert_ne!(secret(32), secret(32));
    }

    #[test]
    fn only_the_same_bytes_are_the_same() {
        assert!(same(b"abcd", b"abcd"));
        assert!(!same(b"abcd", b"abce"));
        assert!(!same(b"abcd", b"abc"));
    }
}
