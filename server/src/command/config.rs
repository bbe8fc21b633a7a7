//! The configuration of `alluvia serve`: a TOML file, and flags that win over it.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::CommandError;
use super::size::Size;

/// Every setting of a server. A key of the file has the name of the flag; unknown keys are an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ServeConfig {
    /// Directory of tables, models and the catalog [default: data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address and port to listen on; port 0 picks a free one [default: 127.0.0.1:5433]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Memory that queries may hold together, such as 512MB or 4GB [default: no limit]
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<Size>,
    /// Parallel streams of a query [default: as many as cores]
    #[arg(long, value_name = "N")]
    pub target_partitions: Option<usize>,
    /// ONNX Runtime's shared library [default: $ALLUVIA_ONNXRUNTIME, or where `make setup` puts it]
    #[arg(long, value_name = "FILE")]
    pub onnxruntime: Option<PathBuf>,
    /// Folder with built-in models; may be repeated [default: where `make setup` puts them]
    #[arg(long = "model-dir", value_name = "DIR")]
    #[serde(rename = "model-dir")]
    pub model_dirs: Vec<PathBuf>,
    /// Sessions at once; one more is refused [default: 250]
    #[arg(long, value_name = "N")]
    pub max_connections: Option<usize>,
    /// Seconds that running statements get when the server shuts down [default: 10]
    #[arg(long, value_name = "SECONDS")]
    pub shutdown_grace: Option<u64>,
}

impl ServeConfig {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, CommandError> {
        let failed = |error: &dyn std::fmt::Display| {
            CommandError::usage(format!("could not read the configuration file {}", path.display()))
                .with_detail(error.to_string().trim_end())
        };
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        toml::from_str(&text).map_err(|error| failed(&error))
    }

    /// These settings, and those of `file` where there are none.
    pub fn over(self, file: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(file.data_dir),
            listen: self.listen.or(file.listen),
            memory_limit: self.memory_limit.or(file.memory_limit),
            target_partitions: self.target_partitions.or(file.target_partitions),
            onnxruntime: self.onnxruntime.or(file.onnxruntime),
            model_dirs: if self.model_dirs.is_empty() { file.model_dirs } else { self.model_dirs },
            max_connections: self.max_connections.or(file.max_connections),
            shutdown_grace: self.shutdown_grace.or(file.shutdown_grace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ServeConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = parse("listen = '127.0.0.1:1'\nmemory-limit = '1GB'\nmodel-dir = ['a', 'b']").unwrap();
        let flags = ServeConfig { listen: Some("127.0.0.1:2".into()), ..ServeConfig::default() };
        let config = flags.over(file);
        assert_eq!(config.listen.as_deref(), Some("127.0.0.1:2"));
        assert_eq!(config.memory_limit, Some(Size { bytes: 1 << 30 }));
        assert_eq!(config.model_dirs.len(), 2);
    }

    #[test]
    fn unknown_keys_and_bad_values_are_errors() {
        assert!(parse("lissten = '127.0.0.1:1'").unwrap_err().to_string().contains("unknown field `lissten`"));
        assert!(parse("memory-limit = 'much'").is_err());
        assert_eq!(parse("memory-limit = 1024").unwrap().memory_limit, Some(Size { bytes: 1024 }));
    }
}
