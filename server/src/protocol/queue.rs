//! Messages on their way from the socket to the worker: bounded by bytes, so that a client which sends ahead of its
//! answers fills the kernel's buffers, not this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc};

use super::frame::Frame;
use super::report::Report;

/// Bytes that may wait for the worker before the socket is no longer read.
const QUEUED_BYTES_MAX: usize = 64 << 20;

/// What a frame costs beside its body.
const FRAME_BYTES: usize = 64;

pub enum Arrival {
    Frame(Frame),
    /// What followed could not be understood.
    Broken(Report),
}

pub struct FrameSender {
    queue: mpsc::UnboundedSender<Arrival>,
    gauge: Arc<Gauge>,
}

pub struct FrameReceiver {
    queue: mpsc::UnboundedReceiver<Arrival>,
    gauge: Arc<Gauge>,
    /// Bytes of the frame that the worker is at: they count until it asks for the next one.
    in_hand_bytes: usize,
}

#[derive(Default)]
struct Gauge {
    queued_bytes: AtomicUsize,
    drained: Notify,
}

pub fn channel() -> (FrameSender, FrameReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let gauge = Arc::new(Gauge::default());
    let receiver = FrameReceiver { queue: receiver, gauge: Arc::clone(&gauge), in_hand_bytes: 0 };
    (FrameSender { queue: sender, gauge }, receiver)
}

impl FrameSender {
    /// False when the worker has ended.
    pub fn send(&self, arrival: Arrival) -> bool {
        self.gauge.queued_bytes.fetch_add(cost(&arrival), Ordering::AcqRel);
        self.queue.send(arrival).is_ok()
    }

    pub fn is_full(&self) -> bool {
        self.gauge.queued_bytes.load(Ordering::Acquire) >= QUEUED_BYTES_MAX
    }

    /// Returns when the worker has taken something since the last call.
    pub async fn drained(&self) {
        self.gauge.drained.notified().await;
    }
}

impl FrameReceiver {
    /// `None` when the reader has ended. May be dropped and called anew: nothing gets lost.
    pub async fn receive(&mut self) -> Option<Arrival> {
        if self.in_hand_bytes > 0 {
            self.gauge.queued_bytes.fetch_sub(std::mem::take(&mut self.in_hand_bytes), Ordering::AcqRel);
            self.gauge.drained.notify_one();
        }
        let arrival = self.queue.recv().await?;
        self.in_hand_bytes = cost(&arrival);
        Some(arrival)
    }
}

fn cost(arrival: &Arrival) -> usize {
    match arrival {
        Arrival::Frame(frame) => FRAME_BYTES + frame.body.len(),
        Arrival::Broken(_) => FRAME_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[tokio::test]
    async fn what_is_in_hand_still_counts() {
        let (sender, mut receiver) = channel();
        let body = Bytes::from(vec![0; QUEUED_BYTES_MAX]);
        assert!(sender.send(Arrival::Frame(Frame { kind: b'Q', body })));
        assert!(sender.is_full());
        assert!(receiver.receive().await.is_some());
        assert!(sender.is_full());
        sender.send(Arrival::Frame(Frame { kind: b'S', body: Bytes::new() }));
        assert!(receiver.receive().await.is_some());
        assert!(!sender.is_full());
        sender.drained().await;
        drop(sender);
        assert!(receiver.receive().await.is_none());
    }
}
