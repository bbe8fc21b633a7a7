//! `docs/functions.md`: rendered from the documentation of every function, never written by hand.

use std::fmt::Write;

use crate::declaration::{Example, Family, FunctionDoc};
use crate::{documentation, table};

/// Every documented example, so that tests can run it and compare the result.
pub fn examples() -> Vec<Example> {
    let of_function = |doc: &'static FunctionDoc| {
        doc.examples.iter().map(|example| Example {
            function: doc.name,
            sql: example.sql,
            expected: example.expected,
            needs: example.needs,
        })
    };
    everything().into_iter().flat_map(of_function).collect()
}

/// Functions of values and of tables.
fn everything() -> Vec<&'static FunctionDoc> {
    [documentation(), table::DOCS.to_vec()].concat()
}

/// The text of `docs/functions.md`.
pub fn render_markdown() -> String {
    let mut page = String::from(
        "# Functions\n\n\
         Alluvia's own functions, beside those of [DataFusion](https://datafusion.apache.org/user-guide/sql/). \
         The tests run every example below that shows a result.\n\n\
         <!-- Generated: edit udfs/src, then run `UPDATE_DOCS=1 cargo test -p alluvia-udfs`. -->\n",
    );
    for family in Family::ALL {
        let _ = write!(page, "\n## {}\n\n{}\n", family.title(), family.introduction());
        let mut docs: Vec<_> = everything().into_iter().filter(|doc| doc.family == family).collect();
        docs.sort_by_key(|doc| doc.name);
        for doc in docs {
            render_function(&mut page, doc);
        }
    }
    page
}

/// Writing into a String cannot fail, so the results of `write!` carry nothing.
fn render_function(page: &mut String, doc: &FunctionDoc) {
    let _ = write!(page, "\n### {}\n\n```\n", doc.name);
    for syntax in doc.syntax {
        let _ = writeln!(page, "{syntax} -> {}", doc.returns);
    }
    let _ = write!(page, "```\n\n{}\n", doc.description);
    if !doc.arguments.is_empty() {
        page.push_str("\n| argument | type | |\n|---|---|---|\n");
        for argument in doc.arguments {
            let optional = if argument.optional { ", optional" } else { "" };
            let type_name = argument.sql_type();
            let _ = writeln!(page, "| `{}` | {type_name}{optional} | {} |", argument.name, argument.description);
        }
    }
    for example in doc.examples {
        let _ = write!(page, "\n```sql\n{};\n", example.sql);
        if let Some(expected) = example.expected {
            let _ = writeln!(page, "-- {expected}");
        }
        page.push_str("```\n");
    }
    if !doc.aliases.is_empty() {
        let aliases: Vec<String> = doc.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let _ = write!(page, "\nAlso known as {}.\n", aliases.join(", "));
    }
    let _ = write!(page, "\nAfter {}.\n", doc.source);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::declaration::Needs;

    #[test]
    fn the_page_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/functions.md");
        let rendered = render_markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &rendered).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == rendered, "docs/functions.md is stale: run `UPDATE_DOCS=1 cargo test -p alluvia-udfs`");
    }

    #[test]
    fn every_function_has_an_example_that_calls_it() {
        let examples = examples();
        for doc in everything() {
            let own: Vec<_> = examples.iter().filter(|example| example.function == doc.name).collect();
            assert!(!own.is_empty(), "{} has no example", doc.name);
            for example in own {
                assert!(example.sql.contains(&format!("{}(", doc.name)), "{} does not call {}", example.sql, doc.name);
                assert!(example.needs == Needs::OwnModel || example.expected.is_some(), "{}", example.sql);
                assert!(!example.sql.ends_with(';'), "{}", example.sql);
            }
        }
    }
}
