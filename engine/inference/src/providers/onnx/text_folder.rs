//! Reading a folder whose graph takes token ids: sentence-transformers' modules, Hugging Face's config.json, the
//! tokenizer beside them. The graph is run twice over a few tokens, which shows what no file says reliably.

use std::path::Path;

use ort::{session::Session, value::Tensor};
use serde_json::Value;

use super::{
    folder::{json, not_applicable},
    inspect, message_of,
    text::MAX_LENGTH_DEFAULT,
    tokenizer::{self, TextTokenizer},
};
use crate::{
    error::{Error, Result},
    options::{ModelOptions, Pooling},
    spec::{Activation, Element, Kind, ModelSpec, Port, TextSpec},
};

const TEXT_INPUTS: [&str; 4] = ["input_ids", "attention_mask", "token_type_ids", "position_ids"];
/// Models whose positions begin after the padding token's: two of the table's rows are never used.
const OFFSET_POSITIONS: [&str; 6] = ["roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xlm-roberta-xl"];
/// transformers writes 1e30 where a tokenizer has no limit.
const MODEL_MAX_LENGTH_REAL: f64 = 1e9;
/// Rows and tokens of the run that shows what a text model returns.
const TRIAL_SHAPE: [usize; 2] = [2, 4];

/// A folder whose graph takes token ids: an encoder, or a classifier where its configuration names labels.
pub(crate) fn text_spec(session: &mut Session, folder: &Path, options: &ModelOptions) -> Result<ModelSpec> {
    if options.features.is_some() {
        return Err(not_applicable("features", "models over columns"));
    }
    let tokenizer = tokenizer::load(folder)?;
    let (algorithm, last_id) = tokenizer::describe(&tokenizer);
    let config = json(folder, "config.json")?;
    let modules = json(folder, "modules.json")?;
    let inputs = text_inputs(session, folder)?;
    let outputs = trial(session, folder, &inputs, last_id)?;
    let id2label = config.get("id2label").filter(|labels| labels.is_object());
    let logits = outputs.iter().any(|port| port.name == "logits");
    let padding = tokenizer.get_padding().map(|padding| u64::from(padding.pad_id));
    let pad_id = config.get("pad_token_id").and_then(Value::as_u64).or(padding).unwrap_or(0);
    let mut spec = ModelSpec {
        kind: Kind::Encoder,
        task: "feature-extraction".into(),
        inputs: vec![Port::text()],
        outputs: Vec::new(),
        tokenizer: Some(algorithm),
        pooling: None,
        normalize: options.normalize.unwrap_or(false),
        dimension: None,
        max_length: Some(max_length(folder, &config, options)?),
        labels: Vec::new(),
        size_bytes: 0,
        files: Vec::new(),
        features: None,
        graph: String::new(),
        text: TextSpec { pad_id: u32::try_from(pad_id).unwrap_or(0), ..TextSpec::default() },
    };
    match (modules.is_array(), id2label) {
        (false, Some(labels)) if logits => classifier(&mut spec, folder, &config, labels, outputs, options)?,
        (false, None) if logits => {
            return Err(Error::UnsupportedModel {
                path: folder.into(),
                reason: "the graph returns logits, and config.json has no id2label".into(),
            });
        }
        _ => encoder(&mut spec, folder, &modules, outputs, options)?,
    }
    TextTokenizer::open(folder, &spec.text, spec.max_length.unwrap_or(MAX_LENGTH_DEFAULT))?;
    Ok(spec)
}

fn classifier(
    spec: &mut ModelSpec,
    folder: &Path,
    config: &Value,
    labels: &Value,
    outputs: Vec<Port>,
    options: &ModelOptions,
) -> Result<()> {
    for (name, given) in [("pooling", options.pooling.is_some()), ("normalize", options.normalize.is_some())] {
        if given {
            return Err(not_applicable(name, "encoders"));
        }
    }
    let invalid = |reason: String| Error::ModelInvalid { path: folder.into(), reason };
    let labels = labels.as_object().into_iter().flatten();
    let mut numbered: Vec<(usize, String)> = Vec::new();
    for (id, label) in labels {
        let id = id.parse().map_err(|_| invalid(format!("id2label has the key \"{id}\", which is no number")))?;
        numbered.push((id, label.as_str().map_or_else(|| label.to_string(), str::to_string)));
    }
    numbered.sort();
    if numbered.iter().enumerate().any(|(index, (id, _))| index != *id) {
        return Err(invalid("the keys of id2label are not 0, 1, 2 and so on".into()));
    }
    let wanted = ModelOptions { outputs: options.outputs.clone().or(Some(vec!["logits".into()])), ..options.clone() };
    let output = one_output(inspect::chosen_outputs(outputs, &wanted)?)?;
    let count = numbered.len();
    match output.shape.as_slice() {
        &[_, classes] if usize::try_from(classes) == Ok(count) => {}
        shape => return Err(invalid(format!("id2label has {count} labels, and the output's shape is {shape:?}"))),
    }
    spec.text.activation = match config.get("problem_type").and_then(Value::as_str) {
        Some("regression") => Activation::Identity,
        Some("multi_label_classification") => Activation::Sigmoid,
        _ if count == 1 => Activation::Sigmoid,
        _ => Activation::Softmax,
    };
    spec.kind = Kind::Classifier;
    spec.task = "text-classification".into();
    spec.labels = numbered.into_iter().map(|(_, label)| label).collect();
    spec.outputs = vec![output];
    Ok(())
}

fn encoder(
    spec: &mut ModelSpec,
    folder: &Path,
    modules: &Value,
    outputs: Vec<Port>,
    options: &ModelOptions,
) -> Result<()> {
    let mut pooling = Pooling::Mean;
    if let Some(modules) = modules.as_array() {
        let found = sentence_transformers(spec, folder, modules)?;
        pooling = found.unwrap_or(pooling);
        spec.normalize = options.normalize.unwrap_or(spec.normalize);
    }
    let rank = |rank: usize| move |port: &&Port| port.shape.len() == rank && port.element.float();
    let named = |name: &str| outputs.iter().filter(rank(3)).find(|port| port.name == name);
    let tokens = named("last_hidden_state").or_else(|| named("token_embeddings"));
    let output = match &options.outputs {
        Some(_) => one_output(inspect::chosen_outputs(outputs, options)?)?,
        None => tokens
            .or_else(|| outputs.iter().find(rank(3)))
            .or_else(|| outputs.iter().find(|port| port.name == "sentence_embedding"))
            .or_else(|| outputs.iter().find(rank(2)))
            .cloned()
            .ok_or_else(|| Error::UnsupportedModel {
                path: folder.into(),
                reason: "the graph has no output of token vectors or text vectors".into(),
            })?,
    };
    let (pooled, dimension) = match *output.shape.as_slice() {
        [_, _, dimension] => (false, dimension),
        [_, dimension] => (true, dimension),
        _ => (false, 0),
    };
    if pooled && options.pooling.is_some() {
        return Err(not_applicable("pooling", "graphs that return token vectors"));
    }
    spec.dimension = usize::try_from(dimension).ok().filter(|dimension| *dimension > 0);
    if spec.dimension.is_none() || !output.element.float() {
        let reason = format!("output \"{}\" has shape {:?}, which is no vector", output.name, output.shape);
        return Err(Error::UnsupportedModel { path: folder.into(), reason });
    }
    spec.pooling = (!pooled).then(|| options.pooling.unwrap_or(pooling));
    spec.outputs = vec![output];
    Ok(())
}

/// What modules.json says: pooling, normalisation, and nothing that we don't do.
fn sentence_transformers(spec: &mut ModelSpec, folder: &Path, modules: &[Value]) -> Result<Option<Pooling>> {
    let unsupported = |reason: String| Error::UnsupportedModel { path: folder.into(), reason };
    let mut pooling = None;
    for module in modules {
        let kind = module.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" => {}
            "Normalize" => spec.normalize = true,
            "Pooling" => {
                let path = module.get("path").and_then(Value::as_str).unwrap_or("1_Pooling");
                let name = format!("{path}/config.json");
                pooling = Some(pooling_of(folder, &json(folder, &name)?)?);
                spec.files.push(name);
            }
            other => return Err(unsupported(format!("modules.json has the module \"{other}\""))),
        }
    }
    let sentence = json(folder, "sentence_bert_config.json")?;
    spec.text.trim = true;
    spec.text.lower_case = sentence.get("do_lower_case").and_then(Value::as_bool).unwrap_or(false);
    let settings = json(folder, "config_sentence_transformers.json")?;
    let prompt = settings.get("default_prompt_name").and_then(Value::as_str);
    if let Some(name) = prompt {
        let text = settings.get("prompts").and_then(|prompts| prompts.get(name)).and_then(Value::as_str);
        let text = text.ok_or_else(|| unsupported(format!("its default prompt \"{name}\" is not defined")))?;
        spec.text.prompt = Some(text.to_string()).filter(|text| !text.is_empty());
    }
    Ok(pooling)
}

/// Both spellings of a pooling's configuration: one flag a mode, and the mode by name.
fn pooling_of(folder: &Path, config: &Value) -> Result<Pooling> {
    let unsupported = |reason: String| Error::UnsupportedModel { path: folder.into(), reason };
    if config.get("include_prompt").and_then(Value::as_bool) == Some(false) {
        return Err(unsupported("its pooling leaves the prompt out".into()));
    }
    let flags = [
        ("pooling_mode_cls_token", Pooling::Cls),
        ("pooling_mode_mean_tokens", Pooling::Mean),
        ("pooling_mode_max_tokens", Pooling::Max),
        ("pooling_mode_mean_sqrt_len_tokens", Pooling::MeanSqrtLen),
        ("pooling_mode_weightedmean_tokens", Pooling::WeightedMean),
        ("pooling_mode_lasttoken", Pooling::LastToken),
    ];
    let set = |name: &str| config.get(name).and_then(Value::as_bool).unwrap_or(false);
    let mut modes: Vec<Pooling> = flags.iter().filter(|(name, _)| set(name)).map(|(_, mode)| *mode).collect();
    if modes.is_empty() {
        let named = match config.get("pooling_mode") {
            Some(Value::String(name)) => vec![name.as_str()],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        for name in named {
            modes.push(name.parse().map_err(|_| unsupported(format!("its pooling is \"{name}\"")))?);
        }
    }
    match modes.as_slice() {
        [mode] => Ok(*mode),
        _ => Err(unsupported(format!("its pooling combines {} modes", modes.len()))),
    }
}

/// The smallest of what the options, the folder's settings and the model's position table allow.
fn max_length(folder: &Path, config: &Value, options: &ModelOptions) -> Result<usize> {
    let whole = |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|value| usize::try_from(value).ok());
    let table = whole(config.get("max_position_embeddings")).filter(|positions| *positions > 0);
    let model_type = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let offset = match OFFSET_POSITIONS.contains(&model_type) {
        true => whole(config.get("pad_token_id")).unwrap_or(1).saturating_add(1),
        false => 0,
    };
    let positions = table.map(|positions| positions.saturating_sub(offset));
    if let (Some(wanted), Some(positions)) = (options.max_length, positions)
        && wanted > positions
    {
        return Err(Error::OptionInvalid {
            option: "max_length".into(),
            value: wanted.to_string(),
            reason: format!("the model has {positions} positions"),
        });
    }
    let sentence = json(folder, "sentence_bert_config.json")?;
    let tokenizer = json(folder, "tokenizer_config.json")?;
    let tokenizer_length = tokenizer.get("model_max_length").and_then(Value::as_f64);
    let tokenizer_length = tokenizer_length.filter(|length| (1.0..MODEL_MAX_LENGTH_REAL).contains(length));
    let wanted = options
        .max_length
        .or_else(|| whole(sentence.get("max_seq_length")))
        .or(tokenizer_length.map(|length| length as usize));
    let length = match (wanted, positions) {
        (Some(wanted), Some(positions)) => wanted.min(positions),
        (Some(length), None) => length,
        (None, positions) => positions.unwrap_or(MAX_LENGTH_DEFAULT).min(MAX_LENGTH_DEFAULT),
    };
    Ok(length)
}

fn text_inputs(session: &Session, folder: &Path) -> Result<Vec<Port>> {
    let inputs = inspect::ports(session.inputs(), folder)?;
    for port in &inputs {
        let integer = matches!(port.element, Element::Int64 | Element::Int32);
        if !TEXT_INPUTS.contains(&port.name.as_str()) || !integer || port.fixed_rows().is_some() {
            let reason = format!("a text model has no input \"{}\" of {:?}{:?}", port.name, port.element, port.shape);
            return Err(Error::UnsupportedModel { path: folder.into(), reason });
        }
    }
    Ok(inputs)
}

/// Runs the graph over token 0 and over the tokenizer's last token. The first run shows the outputs' true shapes, the
/// second that the model's table has a row for every token.
fn trial(session: &mut Session, folder: &Path, inputs: &[Port], last_id: u32) -> Result<Vec<Port>> {
    let run = |session: &mut Session, id: i64| {
        let mut tensors = Vec::with_capacity(inputs.len());
        for port in inputs {
            let value = match port.name.as_str() {
                "input_ids" => id,
                "attention_mask" => 1,
                _ => 0,
            };
            let data = vec![value; TRIAL_SHAPE.iter().product()];
            let tensor = match port.element {
                Element::Int32 => {
                    let narrow: Vec<i32> = data.into_iter().map(|id| i32::try_from(id).unwrap_or(i32::MAX)).collect();
                    Tensor::from_array((TRIAL_SHAPE, narrow)).map(|tensor| tensor.into_dyn())
                }
                _ => Tensor::from_array((TRIAL_SHAPE, data)).map(|tensor| tensor.into_dyn()),
            };
            tensors.push((port.name.clone(), tensor.map_err(|error| message_of(&error))?));
        }
        inspect::run_once(session, tensors)
    };
    let shown = run(session, 0).map_err(|reason| Error::UnsupportedModel { path: folder.into(), reason })?;
    run(session, i64::from(last_id)).map_err(|reason| Error::TokenizerMismatch {
        path: folder.into(),
        reason: format!("the tokenizer has token {last_id}, and the model fails on it: {reason}"),
    })?;
    let mut outputs = inspect::ports(session.outputs(), folder)?;
    for port in &mut outputs {
        let value = shown.iter().find(|(name, _)| name == &port.name).map(|(_, value)| value);
        if let Some(shape) = value.and_then(|value| value.dtype().tensor_shape()) {
            // Rows and tokens vary; what follows doesn't.
            let open = if shape.len() == 3 { 2 } else { 1 };
            port.shape = shape.iter().enumerate().map(|(at, &size)| if at < open { -1 } else { size }).collect();
        }
    }
    Ok(outputs)
}

fn one_output(outputs: Vec<Port>) -> Result<Port> {
    let names: Vec<String> = outputs.iter().map(|port| port.name.clone()).collect();
    let mut outputs = outputs.into_iter();
    match (outputs.next(), outputs.next()) {
        (Some(output), None) => Ok(output),
        _ => Err(Error::OptionInvalid {
            option: "outputs".into(),
            value: names.join(", "),
            reason: "a text model returns one output".into(),
        }),
    }
}
