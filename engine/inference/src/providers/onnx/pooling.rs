//! Token vectors to one vector a text, and logits to a label. Sums run over a text's own tokens in their order, so that
//! neither padding nor neighbours change a bit.

use crate::{options::Pooling, spec::Activation};

/// The norm below which a vector is not scaled up; `torch.nn.functional.normalize` uses the same.
const NORM_MIN: f32 = 1e-12;

/// Pools `tokens`, row-major `[slots, dimension]` with at least `length` slots, into `out`.
///
/// Formulas: `sentence_transformers.models.Pooling`. A text without tokens is a zero vector.
pub(crate) fn pool(pooling: Pooling, tokens: &[f32], length: usize, out: &mut [f32]) {
    let dimension = out.len().max(1);
    let mut own = tokens.chunks_exact(dimension).take(length);
    match pooling {
        Pooling::Cls => own.next().into_iter().for_each(|token| out.copy_from_slice(token)),
        Pooling::LastToken => own.next_back().into_iter().for_each(|token| out.copy_from_slice(token)),
        Pooling::Max => {
            out.fill(if length == 0 { 0.0 } else { f32::NEG_INFINITY });
            own.for_each(|token| out.iter_mut().zip(token).for_each(|(best, value)| *best = best.max(*value)));
        }
        Pooling::Mean => scaled_sum(own, out, |_| 1.0, length as f32),
        Pooling::MeanSqrtLen => scaled_sum(own, out, |_| 1.0, (length as f32).sqrt()),
        Pooling::WeightedMean => {
            let weights = length as f32 * (length as f32 + 1.0) / 2.0;
            scaled_sum(own, out, |position| position as f32 + 1.0, weights);
        }
    }
}

fn scaled_sum<'a>(
    tokens: impl Iterator<Item = &'a [f32]>,
    out: &mut [f32],
    weight: impl Fn(usize) -> f32,
    divisor: f32,
) {
    out.fill(0.0);
    for (position, token) in tokens.enumerate() {
        let weight = weight(position);
        out.iter_mut().zip(token).for_each(|(sum, value)| *sum += value * weight);
    }
    if divisor > 0.0 {
        out.iter_mut().for_each(|sum| *sum /= divisor);
    }
}

/// Scales a vector to length 1.
pub(crate) fn normalize(vector: &mut [f32]) {
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(NORM_MIN);
    vector.iter_mut().for_each(|value| *value /= norm);
}

/// The best label of one row of logits and its score; the first of equals. Rules: the `text-classification` pipeline of
/// transformers. NaN is never the best; `None` where there is no other.
pub(crate) fn best(activation: Activation, logits: &[f32]) -> Option<(usize, f32)> {
    let mut best: Option<(usize, f32)> = None;
    for (index, &logit) in logits.iter().enumerate() {
        if !logit.is_nan() && best.is_none_or(|(_, highest)| logit > highest) {
            best = Some((index, logit));
        }
    }
    let (index, highest) = best?;
    let score = match activation {
        Activation::Identity => highest,
        Activation::Sigmoid => 1.0 / (1.0 + (-highest).exp()),
        // The largest exponent is e^0.
        Activation::Softmax => 1.0 / logits.iter().map(|logit| (logit - highest).exp()).sum::<f32>(),
    };
    Some((index, score))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled(pooling: Pooling) -> Vec<f32> {
        // Two tokens and one slot of padding.
        let mut out = vec![9.0; 2];
        pool(pooling, &[1.0, -2.0, 3.0, -6.0, 100.0, 100.0], 2, &mut out);
        out
    }

    #[test]
    fn poolings_follow_their_formulas() {
        assert_eq!(pooled(Pooling::Cls), [1.0, -2.0]);
        assert_eq!(pooled(Pooling::LastToken), [3.0, -6.0]);
        assert_eq!(pooled(Pooling::Max), [3.0, -2.0]);
        assert_eq!(pooled(Pooling::Mean), [2.0, -4.0]);
        assert_eq!(pooled(Pooling::MeanSqrtLen), [4.0 / 2f32.sqrt(), -8.0 / 2f32.sqrt()]);
        assert_eq!(pooled(Pooling::WeightedMean), [7.0 / 3.0, -14.0 / 3.0]);
    }

    #[test]
    fn nothing_pools_to_zero() {
        for pooling in Pooling::ALL {
            let mut out = vec![0.0; 2];
            pool(pooling, &[1.0, 2.0], 0, &mut out);
            assert_eq!(out, [0.0, 0.0], "{pooling}");
        }
    }

    #[test]
    fn scores_are_those_of_the_pipeline() {
        let (index, score) = best(Activation::Softmax, &[1.0, 3.0, 2.0]).unwrap();
        assert_eq!(index, 1);
        assert!((score - 0.665_240_94).abs() < 1e-6);
        assert_eq!(best(Activation::Sigmoid, &[0.0]), Some((0, 0.5)));
        assert_eq!(best(Activation::Identity, &[-4.0]), Some((0, -4.0)));
        assert_eq!(best(Activation::Softmax, &[2.0, 2.0]), Some((0, 0.5)));
        assert_eq!(best(Activation::Softmax, &[f32::NAN]), None);
    }

    #[test]
    fn normalized_vectors_have_length_one() {
        let mut vector = vec![3.0, 4.0];
        normalize(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
        let mut zero = vec![0.0; 3];
        normalize(&mut zero);
        assert_eq!(zero, [0.0; 3]);
    }
}
