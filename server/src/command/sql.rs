//! `alluvia sql`: runs statements in this process and prints their results.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use alluvia_core::{Copying, Engine, EngineConfig, Session, Statement};
use alluvia_server::protocol::copy::files;
use clap::Args;
use futures::StreamExt;

use super::copy::{copy_in, copy_out};
use super::output::{Format, Output, OutputError};
use super::{CommandError, statement_runtime};

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub struct SqlArguments {
    /// Directory of tables, models and the catalog
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
    /// Statements to run
    #[arg(short, long, value_name = "SQL", group = "source")]
    command: Option<String>,
    /// File with statements to run; - reads standard input
    #[arg(short, long, value_name = "FILE", group = "source")]
    file: Option<PathBuf>,
    /// How results are printed: aligned columns, CSV with a header, or one JSON object per line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub fn run(arguments: &SqlArguments) -> Result<(), CommandError> {
    let sql = match (&arguments.command, &arguments.file) {
        (Some(sql), _) => sql.clone(),
        (None, Some(file)) => read(file)?,
        (None, None) => return Err(CommandError::usage("give statements by -c or -f")),
    };
    let runtime = statement_runtime()?;
    let input_free = arguments.file.as_deref() != Some(Path::new("-"));
    let (data_dir, format) = (arguments.data_dir.clone(), arguments.format);
    // On one of the runtime's threads, for their stack.
    let ran = runtime
        .block_on(async { tokio::spawn(async move { run_text(data_dir, &sql, format, input_free).await }).await });
    ran.map_err(|error| CommandError::failed(format!("internal error: {error}")))?
}

fn read(file: &Path) -> Result<String, CommandError> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|content| text = content)
    };
    read.map_err(|error| CommandError::usage(format!("could not read {}: {error}", file.display())))?;
    Ok(text)
}

async fn run_text(data_dir: PathBuf, sql: &str, format: Format, input_free: bool) -> Result<(), CommandError> {
    let engine = Engine::open(EngineConfig::new(data_dir)).await?;
    let user = std::env::var("USER").unwrap_or_else(|_| "alluvia".to_string());
    let session = engine.session(&user, "alluvia")?;
    let ran = run_statements(&session, sql, format, input_free).await;
    session.close().await;
    match ran {
        // Whoever read the output has seen enough.
        Err(OutputError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(OutputError::Io(error)) => Err(CommandError::failed(format!("could not write the result: {error}"))),
        Err(OutputError::Command(error)) => Err(error),
        Ok(()) => Ok(()),
    }
}

/// `input_free`: standard input isn't where the statements come from.
async fn run_statements(session: &Session, sql: &str, format: Format, input_free: bool) -> Result<(), OutputError> {
    for statement in session.parse(sql)? {
        run_one(session, statement, format, input_free).await?;
    }
    Ok(())
}

async fn run_one(session: &Session, statement: Statement, format: Format, input_free: bool) -> Result<(), OutputError> {
    let prepared = session.prepare(statement, &[]).await?;
    let mut execution = session.execute(&prepared, vec![]).await?;
    for notice in &execution.notices {
        eprintln!("{}:  {}", notice.severity, notice.message);
    }
    match execution.copy.take() {
        Some(Copying::Out(copied)) => return copy_out(session, execution, copied).await,
        Some(Copying::In(_)) if !input_free => {
            let message = "COPY FROM STDIN has no input: the statements are read from it";
            return Err(CommandError::usage(message).into());
        }
        Some(Copying::In(copy)) => return copy_in(session, *copy, execution.tag, format).await,
        Some(Copying::ToFile(copied, path)) => {
            let tag = execution.tag.clone();
            let rows = files::write(session, execution, copied, &path).await.inspect_err(|_| session.fail());
            return say(&tag.render(rows.map_err(CommandError::from)?), format);
        }
        Some(Copying::FromFile(copy, path)) => {
            let rows = files::read(session, *copy, &path).await.inspect_err(|_| session.fail());
            return say(&execution.tag.render(rows.map_err(CommandError::from)?), format);
        }
        None => {}
    }
    let mut output = Output::new(&execution.schema, format, session)?;
    while let Some(batch) = execution.stream.next().await {
        let batch = batch.map_err(|error| {
            session.fail();
            alluvia_core::Error::from(error)
        })?;
        if execution.returns_rows {
            output.write(&batch, &mut io::stdout().lock())?;
        }
    }
    let mut stdout = io::stdout().lock();
    if execution.returns_rows {
        output.finish(&mut stdout)?;
    } else if format == Format::Table {
        writeln!(stdout, "{}", execution.tag.render(0))?;
    }
    Ok(stdout.flush()?)
}

fn say(tag: &str, format: Format) -> Result<(), OutputError> {
    if format == Format::Table {
        writeln!(io::stdout().lock(), "{tag}")?;
    }
    Ok(())
}
