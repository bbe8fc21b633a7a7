//! `alluvia serve`: opens the engine, listens, says so, and serves until it is told to stop.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use alluvia_core::{Engine, EngineConfig};
use alluvia_server::{ListenError, PORT, Server, ServerOptions};
use clap::Args;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::config::ServeConfig;
use super::{CommandError, statement_runtime};

#[derive(Debug, Args)]
pub struct ServeArguments {
    /// TOML file with the same names; flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: ServeConfig,
}

pub fn run(arguments: ServeArguments) -> Result<(), CommandError> {
    let file = arguments.config.as_deref().map(ServeConfig::read).transpose()?.unwrap_or_default();
    let config = arguments.settings.over(file);
    let listen = address(config.listen.as_deref())?;
    // Statements have threads of their own: however busy they are, cancel requests and closed sockets are noticed.
    let statements = statement_runtime()?;
    let network = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("network")
        .enable_all()
        .build()
        .map_err(|error| CommandError::failed(format!("could not start threads: {error}")))?;
    let served = network.block_on(serve(config, listen, statements.handle().clone()));
    // What can't be interrupted must not keep the process.
    statements.shutdown_timeout(Duration::from_secs(1));
    network.shutdown_timeout(Duration::from_secs(1));
    served
}

async fn serve(config: ServeConfig, listen: SocketAddr, statements: Handle) -> Result<(), CommandError> {
    let mut options = ServerOptions::from(listen);
    options.statements = Some(statements.clone());
    options.connections_max = config.max_connections.unwrap_or(options.connections_max);
    options.shutdown_grace = config.shutdown_grace.map_or(options.shutdown_grace, Duration::from_secs);
    let engine_config = EngineConfig {
        data_dir: config.data_dir.unwrap_or_else(|| PathBuf::from("data")),
        onnxruntime: config.onnxruntime,
        model_dirs: config.model_dirs,
        memory_limit_bytes: config.memory_limit.map(|size| size.bytes),
        target_partitions: config.target_partitions,
    };
    let engine = statements.spawn(Engine::open(engine_config)).await;
    let engine = engine.map_err(|error| CommandError::failed(format!("could not open the engine: {error}")))??;
    let shutdown = CancellationToken::new();
    stop_on_signals(&shutdown)?;
    let server = Server::bind(engine, options).await?;
    announce(server.local_addr());
    server.run(shutdown).await;
    Ok(())
}

/// The one line on standard output. A closed standard output is no reason not to serve.
fn announce(address: SocketAddr) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "alluvia is ready on {address}").and_then(|()| output.flush());
}

/// SIGTERM and SIGINT drain the server.
fn stop_on_signals(shutdown: &CancellationToken) -> Result<(), CommandError> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals =
            signal(kind).map_err(|error| CommandError::failed(format!("could not watch signals: {error}")))?;
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                shutdown.cancel();
            }
        });
    }
    Ok(())
}

/// An address to listen on. Names are looked up, and every address that they stand for must be a loopback address.
fn address(listen: Option<&str>) -> Result<SocketAddr, CommandError> {
    let Some(listen) = listen else { return Ok(SocketAddr::from(([127, 0, 0, 1], PORT))) };
    let invalid =
        |detail: String| CommandError::usage(format!("invalid address to listen on: \"{listen}\"")).with_detail(detail);
    let addresses: Vec<SocketAddr> =
        listen.to_socket_addrs().map_err(|error| invalid(format!("{error}. Write it as 127.0.0.1:{PORT}.")))?.collect();
    if let Some(foreign) = addresses.iter().find(|address| !address.ip().is_loopback()) {
        return Err(ListenError::NotLoopback(*foreign).into());
    }
    addresses.first().copied().ok_or_else(|| invalid("The name has no address.".to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_taken() {
        assert_eq!(address(None).unwrap().to_string(), format!("127.0.0.1:{PORT}"));
        assert_eq!(address(Some("[::1]:0")).unwrap().to_string(), "[::1]:0");
        for refused in ["0.0.0.0:5433", "[::]:5433", "192.0.2.1:5433", "127.0.0.1", "nonsense"] {
            assert!(address(Some(refused)).is_err(), "{refused}");
        }
    }
}
