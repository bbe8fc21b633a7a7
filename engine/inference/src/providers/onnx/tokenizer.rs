//! Text to token ids, without padding, many texts in parallel.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use arrow::array::{Array, ArrayRef, AsArray};
use rayon::prelude::*;
use tokenizers::{PostProcessor, Tokenizer, TruncationParams};

use crate::{
    error::{Error, Result},
    spec::TextSpec,
};

/// Texts that one task tokenizes before another thread may take over.
const TEXTS_PER_TASK: usize = 32;

pub(crate) struct TextTokenizer {
    tokenizer: Tokenizer,
    text: TextSpec,
    max_length: usize,
    /// A tokenizer that adds no tokens can stop exactly at the limit, and then doesn't say that it did.
    cuts_itself: bool,
}

/// The tokens of one text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tokens {
    pub ids: Box<[u32]>,
    /// Segment of each token; empty where all are segment 0.
    pub type_ids: Box<[u32]>,
    pub truncated: bool,
}

impl TextTokenizer {
    /// Reads `tokenizer.json`. `max_length` counts special tokens too.
    pub(crate) fn open(folder: &Path, text: &TextSpec, max_length: usize) -> Result<TextTokenizer> {
        let mut tokenizer = load(folder)?;
        let added = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        if max_length <= added {
            return Err(Error::OptionInvalid {
                option: "max_length".into(),
                value: max_length.to_string(),
                reason: format!("the tokenizer itself adds {added} tokens"),
            });
        }
        let cuts_itself = added > 0;
        let limit = if cuts_itself { max_length } else { max_length.saturating_add(1) };
        let truncation = TruncationParams { max_length: limit, stride: 0, ..TruncationParams::default() };
        let invalid = |reason: String| Error::TokenizerInvalid { path: folder.into(), reason };
        tokenizer.with_truncation(Some(truncation)).map_err(|error| invalid(error.to_string()))?;
        tokenizer.with_padding(None);
        Ok(TextTokenizer { tokenizer, text: text.clone(), max_length, cuts_itself })
    }

    /// The tokens of each row of a column of text; `None` for NULL, a message for a text that can't be tokenized. Must
    /// run on the CPU pool. `cancelled` ends it early with nothing.
    pub(crate) fn encode_all(
        &self,
        column: &ArrayRef,
        cancelled: &AtomicBool,
    ) -> Result<Vec<Option<std::result::Result<Tokens, String>>>> {
        let texts = Texts::of(column)?;
        let mut encoded = Vec::with_capacity(column.len());
        let rows = (0..column.len()).into_par_iter().with_min_len(TEXTS_PER_TASK);
        rows.map(|row| {
            let text = texts.at(row).filter(|_| !cancelled.load(Ordering::Relaxed))?;
            Some(self.encode(text))
        })
        .collect_into_vec(&mut encoded);
        if cancelled.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(encoded) }
    }

    pub(crate) fn encode(&self, text: &str) -> std::result::Result<Tokens, String> {
        let prepared = self.prepared(text);
        let encoding = self.tokenizer.encode_fast(prepared.as_ref(), true).map_err(|error| error.to_string())?;
        let length = encoding.len().min(self.max_length);
        let truncated = match self.cuts_itself {
            true => !encoding.get_overflowing().is_empty(),
            false => encoding.len() > self.max_length || !encoding.get_overflowing().is_empty(),
        };
        let ids = encoding.get_ids().iter().take(length).copied().collect();
        let type_ids = match encoding.get_type_ids() {
            segments if segments.iter().all(|&segment| segment == 0) => Box::default(),
            segments => segments.iter().take(length).copied().collect(),
        };
        Ok(Tokens { ids, type_ids, truncated })
    }

    pub(crate) fn max_length(&self) -> usize {
        self.max_length
    }

    fn prepared<'t>(&self, text: &'t str) -> std::borrow::Cow<'t, str> {
        // Python's `str.strip` also takes the four separators that Rust leaves.
        let blank = |letter: char| letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter);
        let text = if self.text.trim { text.trim_matches(blank) } else { text };
        match (&self.text.prompt, self.text.lower_case) {
            (None, false) => text.into(),
            (Some(prompt), false) => format!("{prompt}{text}").into(),
            (prompt, true) => format!("{}{text}", prompt.as_deref().unwrap_or_default()).to_lowercase().into(),
        }
    }
}

pub(crate) fn load(folder: &Path) -> Result<Tokenizer> {
    let path = folder.join("tokenizer.json");
    let bytes = std::fs::read(&path).map_err(|_| Error::TokenizerMissing { path: folder.into() })?;
    Tokenizer::from_bytes(bytes)
        .map_err(|error| Error::TokenizerInvalid { path: folder.into(), reason: error.to_string() })
}

/// What the specification says about a tokenizer: its algorithm and its largest token id.
pub(crate) fn describe(tokenizer: &Tokenizer) -> (String, u32) {
    let algorithm = match tokenizer.get_model() {
        tokenizers::ModelWrapper::BPE(_) => "BPE",
        tokenizers::ModelWrapper::WordPiece(_) => "WordPiece",
        tokenizers::ModelWrapper::WordLevel(_) => "WordLevel",
        tokenizers::ModelWrapper::Unigram(_) => "Unigram",
    };
    (algorithm.into(), tokenizer.get_vocab(true).into_values().max().unwrap_or(0))
}

/// Any Arrow column of strings.
enum Texts<'a> {
    Small(&'a arrow::array::StringArray),
    Large(&'a arrow::array::LargeStringArray),
    View(&'a arrow::array::StringViewArray),
}

impl<'a> Texts<'a> {
    fn of(column: &'a ArrayRef) -> Result<Texts<'a>> {
        let small = column.as_string_opt::<i32>().map(Texts::Small);
        let large = || column.as_string_opt::<i64>().map(Texts::Large);
        let view = || column.as_string_view_opt().map(Texts::View);
        small.or_else(large).or_else(view).ok_or_else(|| Error::RequestType {
            input: "text".into(),
            takes: "TEXT".into(),
            has: column.data_type().to_string(),
        })
    }

    fn at(&self, row: usize) -> Option<&'a str> {
        match self {
            Texts::Small(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::Large(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::View(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}
