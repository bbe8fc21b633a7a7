//! `CREATE MODEL ... WITH (...)`: the options a model may be opened with, parsed once.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const KNOWN: [&str; 8] =
    ["device", "features", "max_length", "pooling", "normalize", "batch_tokens", "batch_rows", "outputs"];

/// Upper bounds keep one option from asking for more memory than a machine has.
const MAX_LENGTH_MAX: usize = 131_072;
const BATCH_TOKENS_MAX: usize = 1 << 20;
const BATCH_ROWS_MAX: usize = 1 << 20;

#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[serde(default)]
pub struct ModelOptions {
    pub device: Device,
    /// Names of the columns of the one input that is wider than one value.
    pub features: Option<Vec<String>>,
    /// Longest input in tokens; longer texts are cut.
    pub max_length: Option<usize>,
    pub pooling: Option<Pooling>,
    pub normalize: Option<bool>,
    /// Padded tokens of one micro-batch of text.
    pub batch_tokens: Option<usize>,
    /// Rows of one micro-batch.
    pub batch_rows: Option<usize>,
    /// Names of the graph outputs to return, in this order.
    pub outputs: Option<Vec<String>>,
}

impl ModelOptions {
    /// Options from their textual form. An unknown name is an error that lists the known ones.
    pub fn parse(pairs: &BTreeMap<String, String>) -> Result<ModelOptions> {
        let mut options = ModelOptions::default();
        for (name, value) in pairs {
            match name.to_ascii_lowercase().as_str() {
                "device" => options.device = value.parse()?,
                "features" => options.features = Some(names("features", value)?),
                "max_length" => options.max_length = Some(size("max_length", value, MAX_LENGTH_MAX)?),
                "pooling" => options.pooling = Some(value.parse()?),
                "normalize" => options.normalize = Some(switch("normalize", value)?),
                "batch_tokens" => options.batch_tokens = Some(size("batch_tokens", value, BATCH_TOKENS_MAX)?),
                "batch_rows" => options.batch_rows = Some(size("batch_rows", value, BATCH_ROWS_MAX)?),
                "outputs" => options.outputs = Some(names("outputs", value)?),
                _ => return Err(Error::OptionUnknown { option: name.clone(), known: KNOWN.join(", ") }),
            }
        }
        Ok(options)
    }
}

/// Where a model runs.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    #[default]
    Cpu,
    /// The CUDA device of this index; an error where it isn't there.
    Cuda(u32),
    /// The first CUDA device if it is usable, else the processor.
    Auto,
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Device> {
        let lower = text.trim().to_ascii_lowercase();
        match lower.as_str() {
            "cpu" => return Ok(Device::Cpu),
            "auto" => return Ok(Device::Auto),
            "cuda" => return Ok(Device::Cuda(0)),
            _ => {}
        }
        let index = lower.strip_prefix("cuda:").and_then(|index| index.parse::<u16>().ok());
        index.map(|index| Device::Cuda(index.into())).ok_or_else(|| Error::OptionInvalid {
            option: "device".into(),
            value: text.into(),
            reason: "a device is 'cpu', 'cuda', 'cuda:<index>' or 'auto'".into(),
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => out.write_str("cpu"),
            Device::Cuda(index) => write!(out, "cuda:{index}"),
            Device::Auto => out.write_str("auto"),
        }
    }
}

/// How the token vectors of a text become one vector. Formulas are those of sentence-transformers' `Pooling`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The first token.
    Cls,
    /// The arithmetic mean over the text's tokens.
    Mean,
    /// The maximum of each component.
    Max,
    /// The sum divided by the square root of the number of tokens.
    MeanSqrtLen,
    /// The mean weighted by position, first token 1.
    WeightedMean,
    /// The last token.
    LastToken,
}

impl Pooling {
    pub const ALL: [Pooling; 6] =
        [Pooling::Cls, Pooling::Mean, Pooling::Max, Pooling::MeanSqrtLen, Pooling::WeightedMean, Pooling::LastToken];

    /// The spelling of sentence-transformers.
    pub fn as_str(self) -> &'static str {
        match self {
            Pooling::Cls => "cls",
            Pooling::Mean => "mean",
            Pooling::Max => "max",
            Pooling::MeanSqrtLen => "mean_sqrt_len_tokens",
            Pooling::WeightedMean => "weightedmean",
            Pooling::LastToken => "lasttoken",
        }
    }
}

impl FromStr for Pooling {
    type Err = Error;

    fn from_str(text: &str) -> Result<Pooling> {
        let plain: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let plain = plain.strip_suffix("tokens").unwrap_or(&plain);
        match plain {
            "cls" | "clstoken" => Ok(Pooling::Cls),
            "mean" => Ok(Pooling::Mean),
            "max" => Ok(Pooling::Max),
            "meansqrtlen" => Ok(Pooling::MeanSqrtLen),
            "weightedmean" => Ok(Pooling::WeightedMean),
            "lasttoken" | "last" => Ok(Pooling::LastToken),
            _ => Err(Error::OptionInvalid {
                option: "pooling".into(),
                value: text.into(),
                reason: format!("poolings are: {}", Pooling::ALL.map(Pooling::as_str).join(", ")),
            }),
        }
    }
}

impl fmt::Display for Pooling {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A list of names, written as a JSON array or with commas.
pub(crate) fn name_list(text: &str) -> Option<Vec<String>> {
    let names: Vec<String> = match serde_json::from_str::<Vec<String>>(text) {
        Ok(names) => names,
        Err(_) => text.split(',').map(|name| name.trim().to_string()).collect(),
    };
    let mut seen = std::collections::HashSet::new();
    let distinct = names.iter().all(|name| !name.is_empty() && seen.insert(name.as_str()));
    distinct.then_some(names)
}

fn names(option: &str, value: &str) -> Result<Vec<String>> {
    name_list(value).ok_or_else(|| Error::OptionInvalid {
        option: option.into(),
        value: value.into(),
        reason: "expected distinct names, separated by commas or as a JSON array".into(),
    })
}

fn size(option: &str, value: &str, maximum: usize) -> Result<usize> {
    let number = value.trim().parse::<usize>().ok().filter(|number| (1..=maximum).contains(number));
    number.ok_or_else(|| Error::OptionInvalid {
        option: option.into(),
        value: value.into(),
        reason: format!("expected a whole number from 1 to {maximum}"),
    })
}

fn switch(option: &str, value: &str) -> Result<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" | "t" => Ok(true),
        "false" | "off" | "no" | "0" | "f" => Ok(false),
        _ => Err(Error::OptionInvalid {
            option: option.into(),
            value: value.into(),
            reason: "expected true or false".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<ModelOptions> {
        ModelOptions::parse(&pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn options_are_parsed() {
        let options = parse(&[
            ("device", "CUDA:1"),
            ("features", "[\"a b\", \"c\"]"),
            ("pooling", "mean_sqrt_len_tokens"),
            ("normalize", "off"),
            ("max_length", "128"),
        ])
        .unwrap();
        assert_eq!(options.device, Device::Cuda(1));
        assert_eq!(options.features, Some(vec!["a b".into(), "c".into()]));
        assert_eq!(options.pooling, Some(Pooling::MeanSqrtLen));
        assert_eq!(options.normalize, Some(false));
        assert_eq!(options.max_length, Some(128));
        assert_eq!(parse(&[("outputs", "label, probabilities")]).unwrap().outputs.unwrap().len(), 2);
    }

    #[test]
    fn wrong_options_are_refused() {
        let unknown = parse(&[("devise", "cpu")]).unwrap_err();
        assert!(unknown.detail().unwrap().contains("device, features, max_length"));
        for pair in [
            ("device", "cuda:-1"),
            ("device", "tpu"),
            ("max_length", "0"),
            ("batch_rows", "1e9"),
            ("features", "a,a"),
            ("features", ""),
            ("pooling", "median"),
            ("normalize", "maybe"),
        ] {
            assert!(matches!(parse(&[pair]), Err(Error::OptionInvalid { .. })), "{pair:?}");
        }
    }

    #[test]
    fn every_pooling_reads_its_own_spelling() {
        for pooling in Pooling::ALL {
            assert_eq!(pooling.as_str().parse::<Pooling>().unwrap(), pooling);
        }
    }
}
