//! Rows into Parquet files: the plan's partitions run as tasks, check their rows, and feed a few file writers.
//!
//! Nothing is collected: a batch waits only in short queues, and an open file holds one row group. Dropping the
//! future ends the plan's tasks; the writers see their queues close, and abandon their uploads. A file that was
//! complete by then is an orphan that no version names.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::kernel::Add;
use deltalake::logstore::ObjectStoreRef;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::error::{Error, Result};
use crate::kept::{Keeper, Kept};
use crate::layout::ROW_GROUP_BYTES_MAX;

const WRITERS_MAX: usize = 16;
const QUEUED_BATCHES_MAX: usize = 2;

/// When a write takes more writers, and when it gives files up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A further writer joins for each so many bytes of rows, so that a small statement makes one file.
    pub bytes_per_writer: usize,
    /// A partitioned table has a file open for each partition value; past this many bytes of rows they are closed.
    pub partitioned_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes_per_writer: 64 << 20, partitioned_bytes_max: 512 << 20 }
    }
}

/// Files that lie in the table's folder and wait for a commit to name them.
pub(crate) struct Files {
    pub adds: Vec<Add>,
    /// Files of the change data feed, their paths from where they lie.
    pub changes: Vec<Add>,
    /// The rows in `adds`.
    pub rows: u64,
    pub counts: Counts,
    pub affected: Option<Kept>,
}

impl Files {
    pub fn none() -> Files {
        Files { adds: Vec::new(), changes: Vec::new(), rows: 0, counts: Counts::default(), affected: None }
    }
}

/// What becomes of the rows of a plan on their way into files.
pub(crate) trait Intake: Send + Sync {
    fn take(&self, batch: &RecordBatch) -> Result<Taken>;
}

/// A batch that was taken in: what goes where.
#[derive(Default)]
pub(crate) struct Taken {
    pub data: Vec<RecordBatch>,
    pub changes: Vec<RecordBatch>,
    pub affected: Vec<RecordBatch>,
    pub counts: Counts,
}

/// How many rows were changed in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
    }
}

/// Where files go.
pub(crate) struct Output {
    pub store: ObjectStoreRef,
    pub config: WriterConfig,
    pub partitioned: bool,
}

/// Runs `plan` and writes its rows, in the table's order where the plan has a single partition. Changed rows go to
/// `changes` where there is such an output; affected ones are put by where `affected` is their schema.
///
/// # Errors
/// The plan's own error as it was raised; the first demand of the rules that a row breaks; errors of the store.
pub(crate) async fn write(
    plan: Arc<dyn ExecutionPlan>,
    session: &SessionState,
    intake: Arc<dyn Intake>,
    data: Output,
    changes: Option<Output>,
    affected: Option<SchemaRef>,
    limits: Limits,
) -> Result<Files> {
    let context = session.task_ctx();
    let pool = |output: Output| {
        // Writers of a partitioned table would each open a file for every partition value.
        let partitions = session.config().target_partitions();
        let writers_max = if output.partitioned { 1 } else { partitions.clamp(1, WRITERS_MAX) };
        let reservation = MemoryConsumer::new("delta write").register(context.memory_pool());
        Writers { output, limits, writers_max, reservation, open: Vec::new(), bytes: 0, turn: 0 }
    };
    let mut outlets = Outlets {
        data: pool(data),
        changes: changes.map(pool),
        affected: affected.map(|schema| Keeper::new(schema, context.runtime_env())),
        rows: 0,
        counts: Counts::default(),
    };
    let streams = execute_stream_partitioned(plan, context.clone())?;
    let (sender, mut taken) = mpsc::channel(QUEUED_BATCHES_MAX);
    let mut readers = JoinSet::new();
    for stream in streams {
        readers.spawn(read(stream, intake.clone(), sender.clone()));
    }
    drop(sender);
    match drive(&mut readers, &mut taken, &mut outlets).await {
        Ok(()) => outlets.finish().await,
        Err(error) => {
            readers.abort_all();
            Err(outlets.abandon().await.unwrap_or(error))
        }
    }
}

/// Moves rows from the readers to the outlets until there are no more.
async fn drive(
    readers: &mut JoinSet<()>,
    taken: &mut mpsc::Receiver<Result<Taken>>,
    outlets: &mut Outlets,
) -> Result<()> {
    while let Some(taken) = taken.recv().await {
        outlets.take(taken?).await?;
    }
    // The queue also closes when a reader panics, and then the rows are not all there.
    while let Some(ended) = readers.join_next().await {
        ended?;
    }
    Ok(())
}

/// One partition of the plan: its rows, checked, into the queue. Its error is the last thing it sends.
async fn read(mut stream: SendableRecordBatchStream, intake: Arc<dyn Intake>, queue: mpsc::Sender<Result<Taken>>) {
    while let Some(batch) = stream.next().await {
        let taken = match batch {
            Ok(batch) if batch.num_rows() == 0 => continue,
            Ok(batch) => intake.take(&batch),
            Err(error) => Err(error.into()),
        };
        let failed = taken.is_err();
        if queue.send(taken).await.is_err() || failed {
            return;
        }
    }
}

/// The writers of a statement.
struct Outlets {
    data: Writers,
    changes: Option<Writers>,
    affected: Option<Keeper>,
    rows: u64,
    counts: Counts,
}

impl Outlets {
    async fn take(&mut self, taken: Taken) -> Result<()> {
        self.counts.add(taken.counts);
        for batch in taken.data {
            self.rows = self.rows.saturating_add(batch.num_rows() as u64);
            self.data.take(batch).await?;
        }
        if let Some(writers) = &mut self.changes {
            for batch in taken.changes {
                writers.take(batch).await?;
            }
        }
        if let Some(keeper) = &mut self.affected {
            for batch in taken.affected {
                keeper.put(batch)?;
            }
        }
        Ok(())
    }

    async fn finish(self) -> Result<Files> {
        let adds = self.data.finish().await;
        let changes = match self.changes {
            Some(writers) => writers.finish().await,
            None => Ok(Vec::new()),
        };
        let affected = self.affected.map(Keeper::finish).transpose()?;
        Ok(Files { adds: adds?, changes: changes?, rows: self.rows, counts: self.counts, affected })
    }

    /// The error of a writer that failed by itself.
    async fn abandon(self) -> Option<Error> {
        let failure = self.data.abandon().await;
        match self.changes {
            Some(writers) => failure.or(writers.abandon().await),
            None => failure,
        }
    }
}

enum Message {
    Rows(RecordBatch),
    Finish,
}

struct Writer {
    queue: mpsc::Sender<Message>,
    task: JoinHandle<Result<Vec<Add>>>,
}

struct Writers {
    output: Output,
    limits: Limits,
    writers_max: usize,
    reservation: MemoryReservation,
    open: Vec<Writer>,
    /// Bytes of rows taken so far, as they lie in memory.
    bytes: usize,
    turn: usize,
}

impl Writers {
    /// Hands `batch` to the first writer with room, or waits for the one whose turn it is. Fails when a writer is
    /// gone; [`Writers::abandon`] then knows its error.
    async fn take(&mut self, batch: RecordBatch) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes(&batch));
        if self.open.len() < self.writers_max.min(1 + self.bytes / self.limits.bytes_per_writer.max(1)) {
            self.open.push(self.start());
        }
        let held_max = if self.output.partitioned {
            self.limits.partitioned_bytes_max
        } else {
            self.open.len() * ROW_GROUP_BYTES_MAX
        };
        self.reservation.try_resize(self.bytes.min(held_max))?;
        let mut message = Message::Rows(batch);
        let count = self.open.len();
        for writer in self.open.iter().cycle().skip(self.turn % count).take(count) {
            match writer.queue.try_send(message) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(back)) => message = back,
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(gone()),
            }
        }
        let turn = self.turn % count;
        self.turn = turn + 1;
        let writer = self.open.get(turn).ok_or_else(gone)?;
        writer.queue.send(message).await.map_err(|_| gone())
    }

    fn start(&self) -> Writer {
        let (queue, rows) = mpsc::channel(QUEUED_BATCHES_MAX);
        let held_bytes_max = if self.output.partitioned { self.limits.partitioned_bytes_max } else { usize::MAX };
        let task =
            tokio::spawn(write_rows(self.output.store.clone(), self.output.config.clone(), held_bytes_max, rows));
        Writer { queue, task }
    }

    async fn finish(self) -> Result<Vec<Add>> {
        for writer in &self.open {
            let _ = writer.queue.send(Message::Finish).await;
        }
        let mut adds = Vec::new();
        let mut failure = None;
        for writer in self.open {
            match writer.task.await.map_err(Error::from).flatten() {
                Ok(written) => adds.extend(written),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(adds),
        }
    }

    /// Ends all writers without their files: they see their queues close. The error of one that failed by itself.
    async fn abandon(self) -> Option<Error> {
        let tasks: Vec<_> = self.open.into_iter().map(|writer| writer.task).collect();
        let mut failure = None;
        for task in tasks {
            failure = failure.or(task.await.map_err(Error::from).flatten().err());
        }
        failure
    }
}

fn gone() -> Error {
    Error::Internal { message: "a file writer ended early without an error".to_owned() }
}

/// One writer's task. A queue that closes without [`Message::Finish`] means that the statement has failed.
async fn write_rows(
    store: ObjectStoreRef,
    config: WriterConfig,
    held_bytes_max: usize,
    mut queue: mpsc::Receiver<Message>,
) -> Result<Vec<Add>> {
    let open = || DeltaWriter::new(store.clone(), config.clone());
    let mut writer = open();
    let mut adds = Vec::new();
    let mut held_bytes = 0usize;
    loop {
        match queue.recv().await {
            Some(Message::Rows(batch)) => {
                held_bytes = held_bytes.saturating_add(bytes(&batch));
                if let Err(error) = writer.write(&batch).await {
                    abandon(writer).await;
                    return Err(error.into());
                }
                if held_bytes > held_bytes_max {
                    adds.extend(std::mem::replace(&mut writer, open()).close().await?);
                    held_bytes = 0;
                }
            }
            Some(Message::Finish) => {
                adds.extend(writer.close().await?);
                return Ok(adds);
            }
            None => {
                abandon(writer).await;
                return Ok(Vec::new());
            }
        }
    }
}

async fn abandon(writer: DeltaWriter) {
    if let Err(error) = writer.abort().await {
        tracing::warn!(%error, "could not abandon an upload");
    }
}

/// Bytes of the rows alone, without what a slice leaves out.
fn bytes(batch: &RecordBatch) -> usize {
    let size = |column: &Arc<dyn Array>| column.to_data().get_slice_memory_size().unwrap_or_default();
    batch.columns().iter().map(size).sum()
}
