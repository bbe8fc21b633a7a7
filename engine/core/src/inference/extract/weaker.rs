//! A condition that guards a call in one place may hold that same call: `CASE WHEN ok AND f(x) > 3 THEN f(x) END`.
//! The call can't wait for itself, so its guard is what remains of the condition without it: here `ok`.

use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::Extraction;

/// What is asked of a condition's value, which may be NULL.
#[derive(Clone, Copy)]
enum Test {
    True,
    NotTrue,
    False,
    NotFalse,
}

impl Test {
    fn of(self, expr: &Expr) -> Expr {
        let expr = Box::new(expr.clone());
        match self {
            Test::True => Expr::IsTrue(expr),
            Test::NotTrue => Expr::IsNotTrue(expr),
            Test::False => Expr::IsFalse(expr),
            Test::NotFalse => Expr::IsNotFalse(expr),
        }
    }

    /// The test that `NOT x` passes when `x` passes this one.
    fn of_negated(self) -> Test {
        match self {
            Test::True => Test::False,
            Test::NotTrue => Test::NotFalse,
            Test::False => Test::True,
            Test::NotFalse => Test::NotTrue,
        }
    }

    /// Whether a chain of `op` passes only when all its parts do; otherwise one that does is enough.
    fn takes_all(self, op: Operator) -> bool {
        matches!((self, op), (Test::True | Test::NotFalse, Operator::And) | (Test::False | Test::NotTrue, Operator::Or))
    }
}

impl Extraction<'_> {
    /// The guard itself, or one that holds wherever it does and can be known before the call; none if that is every
    /// row.
    pub(super) fn usable_guard(&self, guard: &Expr, index: usize) -> Option<Expr> {
        if self.may_guard(guard, index) {
            return Some(guard.clone());
        }
        let (condition, test) = tested(guard)?;
        self.weaker(condition, test, index)
    }

    fn weaker(&self, condition: &Expr, test: Test, index: usize) -> Option<Expr> {
        let whole = test.of(condition);
        if self.may_guard(&whole, index) {
            return Some(whole);
        }
        match condition {
            Expr::Not(inner) => self.weaker(inner, test.of_negated(), index),
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                let parts = [self.weaker(left, test, index), self.weaker(right, test, index)];
                match test.takes_all(*op) {
                    true => conjunction(parts.into_iter().flatten()),
                    false => parts.into_iter().collect::<Option<Vec<_>>>().and_then(disjunction),
                }
            }
            other => {
                let (inner, own) = tested(other)?;
                // Its value is never NULL.
                let test = match test {
                    Test::True | Test::NotFalse => own,
                    Test::NotTrue | Test::False => opposite(own),
                };
                self.weaker(inner, test, index)
            }
        }
    }
}

fn tested(expr: &Expr) -> Option<(&Expr, Test)> {
    match expr {
        Expr::IsTrue(inner) => Some((inner, Test::True)),
        Expr::IsNotTrue(inner) => Some((inner, Test::NotTrue)),
        Expr::IsFalse(inner) => Some((inner, Test::False)),
        Expr::IsNotFalse(inner) => Some((inner, Test::NotFalse)),
        _ => None,
    }
}

fn opposite(test: Test) -> Test {
    match test {
        Test::True => Test::NotTrue,
        Test::NotTrue => Test::True,
        Test::False => Test::NotFalse,
        Test::NotFalse => Test::False,
    }
}
