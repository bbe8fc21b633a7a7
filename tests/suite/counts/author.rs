//! Makes statements up: `SELECT`s over the tables of `calls`, with calls wherever an expression may stand.

use super::super::calls::called;

pub struct Statement {
    pub text: String,
    /// Whether the order of its rows is fixed.
    pub ordered: bool,
    /// Whether every call in it is over the rows of `r`, or of fewer.
    pub one_table: bool,
}

/// Makes statements up. All arithmetic stays within numbers that single precision holds exactly, or is done in single
/// precision by both sides, and sums are over whole numbers, so that no order of adding shows.
pub struct Author {
    state: u64,
    one_table: bool,
    names: u32,
}

/// The columns that an expression may use.
#[derive(Clone)]
struct Scope {
    numbers: Vec<String>,
    /// Small whole numbers.
    indices: Vec<String>,
    texts: Vec<String>,
    /// Tells all rows apart.
    keys: Vec<String>,
    /// A small number without NULL that subqueries may refer to; none where they may not.
    outer: Option<String>,
    /// Whether the expression is a condition of WHERE, where subqueries may become joins.
    filters: bool,
}

impl Scope {
    fn of(table: &str, alias: &str) -> Self {
        let column = |name: &&str| format!("{alias}.{name}");
        let all = |names: &[&str]| names.iter().map(column).collect::<Vec<_>>();
        let (numbers, indices) = match table {
            "r" => (all(&["a", "b", "k", "id"]), all(&["i", "a", "k"])),
            _ => (all(&["a", "k", "id", "x"]), all(&["a", "k", "id"])),
        };
        Scope {
            numbers,
            indices,
            texts: all(&["w"]),
            keys: all(&["id"]),
            outer: Some(format!("{alias}.k")),
            filters: false,
        }
    }

    fn and(mut self, other: Scope) -> Self {
        self.numbers.extend(other.numbers);
        self.indices.extend(other.indices);
        self.texts.extend(other.texts);
        self.keys.extend(other.keys);
        self
    }

    /// Of what stands inside a larger expression.
    fn inner(&self) -> Self {
        Scope { filters: false, ..self.clone() }
    }

    fn alone(mut self) -> Self {
        self.outer = None;
        self
    }
}

impl Author {
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), one_table: true, names: 0 }
    }

    /// splitmix64, by Steele, Lea and Flood.
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick(&mut self, from: &[String]) -> String {
        from[self.below(from.len())].clone()
    }

    fn word(&mut self, from: &[&str]) -> String {
        from[self.below(from.len())].to_owned()
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("n{}", self.names)
    }

    pub fn settings(&mut self) -> String {
        let (partitions, batch_size) = (self.word(&["1", "2", "4"]), self.word(&["8192", "7", "64"]));
        format!("SET target_partitions = {partitions}; SET batch_size = {batch_size}")
    }

    pub fn statement(&mut self) -> Statement {
        let (text, ordered) = match self.below(12) {
            0..=2 => self.plain(),
            3 | 4 => (self.grouped(), false),
            5 | 6 => (self.joined(), false),
            7 => (self.windowed(), false),
            8 => (self.set(), false),
            9 => (self.nested(), false),
            10 => (self.with(), false),
            _ => (self.distinct(), false),
        };
        Statement { text, ordered, one_table: self.one_table }
    }

    fn plain(&mut self) -> (String, bool) {
        let scope = Scope::of("r", "r");
        let list = self.list(&scope, 3);
        let condition = self.condition(&scope);
        if self.one_in(2) {
            return (format!("SELECT r.id, {list} FROM r{condition}"), false);
        }
        // DataFusion loses an order by a subquery's value above a projection that it splits among partitions.
        let order = loop {
            let order = self.number(&scope, 2);
            if !order.contains("SELECT") {
                break order;
            }
        };
        let (direction, limit) = (self.word(&["", " DESC", " ASC NULLS FIRST"]), self.limit());
        (format!("SELECT r.id, {list} FROM r{condition} ORDER BY {order}{direction}, r.id{limit}"), true)
    }

    fn limit(&mut self) -> String {
        match self.below(4) {
            0 => format!(" LIMIT {}", 1 + self.below(20)),
            1 => format!(" LIMIT {} OFFSET {}", 1 + self.below(20), self.below(9)),
            _ => String::new(),
        }
    }

    fn grouped(&mut self) -> String {
        let scope = Scope::of("r", "r").alone();
        let mut groups: Vec<String> = (0..self.below(3))
            .map(|_| match self.below(4) {
                0 => "r.k".to_owned(),
                1 => self.flag(&scope, 1),
                2 => self.text(&scope, 1),
                _ => self.number(&scope, 1),
            })
            .collect();
        groups.sort();
        groups.dedup();
        let aggregates: Vec<String> = (0..1 + self.below(3)).map(|_| self.aggregate(&scope)).collect();
        let condition = self.condition(&scope);
        let named = |(place, expr): (usize, &String)| format!("{expr} AS g{place}");
        let list = groups.iter().chain(&aggregates).enumerate().map(named).collect::<Vec<_>>().join(", ");
        // The parser takes a parenthesis at the start of a grouping set for a list.
        let sets = groups.iter().all(|group| !group.starts_with('(') && !called(group).starts_with('('));
        let group = match (groups.is_empty(), if sets { self.below(6) } else { 6 }) {
            (true, _) => String::new(),
            (false, 0) => format!(" GROUP BY ROLLUP ({})", groups.join(", ")),
            (false, 1) if groups.len() > 1 => {
                format!(" GROUP BY GROUPING SETS (({}), ({}))", groups.join(", "), groups[0])
            }
            _ => format!(" GROUP BY {}", groups.join(", ")),
        };
        let having = match self.below(3) {
            0 => {
                let inner = self.aggregate(&scope);
                match self.below(2) {
                    0 => format!(" HAVING {inner} > 0 OR {inner} IS NULL"),
                    _ => format!(" HAVING @affine({inner}) > -20 OR count(*) > 2"),
                }
            }
            _ => String::new(),
        };
        format!("SELECT {list} FROM r{condition}{group}{having}")
    }

    /// A number made of many rows, in whatever order they come.
    fn aggregate(&mut self, scope: &Scope) -> String {
        let argument = self.whole(scope, 2);
        let filter = match self.below(3) {
            0 => format!(" FILTER (WHERE {})", self.flag(scope, 2)),
            _ => String::new(),
        };
        match self.below(8) {
            0 => format!("count({argument}){filter}"),
            1 => format!("count(DISTINCT {argument})"),
            2 => format!("min({argument}){filter}"),
            3 => format!("max({argument}){filter}"),
            4 => format!("sum(@affine(r.id)){filter}"),
            5 if filter.is_empty() => format!("@affine(max({argument}))"),
            6 => format!("sum(CASE WHEN r.i BETWEEN -10 AND 9 THEN @lookup(r.i) END){filter}"),
            _ => format!("sum({argument}){filter}"),
        }
    }

    fn joined(&mut self) -> String {
        self.one_table = false;
        let (left, right) = (Scope::of("r", "r").alone(), Scope::of("s", "s").alone());
        let both = left.clone().and(right.clone());
        let kind = self.below(5);
        let key = match self.below(4) {
            0 => format!("{} = {}", self.number(&left, 2), self.number(&right, 1)),
            1 => "@affine(r.k) = @affine(s.k)".to_owned(),
            _ => self.word(&["r.k = s.k", "r.id = s.id"]),
        };
        let more = match self.below(4) {
            0 => format!(" AND {}", self.flag(&left, 2)),
            1 => format!(" AND {}", self.flag(&right, 2)),
            // Outer joins refuse calls over both sides.
            2 if kind == 0 => format!(" AND {}", self.flag(&both, 2)),
            _ => String::new(),
        };
        let join = ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", ","][kind];
        let condition = self.condition(&both);
        let condition = match (kind, condition.strip_prefix(" WHERE ")) {
            (4, None) => format!(" WHERE {key}{more}"),
            (4, Some(condition)) => format!(" WHERE {key}{more} AND {condition}"),
            _ => format!(" ON {key}{more}{condition}"),
        };
        format!("SELECT r.id, s.id, {} FROM r {join} s{condition}", self.list(&both, 2))
    }

    fn windowed(&mut self) -> String {
        let scope = Scope::of("r", "r").alone();
        let windows: Vec<String> = (0..1 + self.below(2))
            .map(|_| {
                let (partition, order) = (self.small(&scope, 1), self.number(&scope, 1));
                let argument = self.whole(&scope, 2);
                let over = format!("OVER (PARTITION BY {partition} ORDER BY {order}, r.id)");
                match self.below(5) {
                    0 => format!("row_number() {over}"),
                    1 => format!("lag({argument}) {over}"),
                    2 => format!("@affine(sum({argument}) OVER (PARTITION BY {partition}))"),
                    3 => format!("max({argument}) {over}"),
                    _ => format!("sum({argument}) {over}"),
                }
            })
            .collect();
        format!("SELECT r.id, {} FROM r{}", windows.join(", "), self.condition(&scope))
    }

    fn set(&mut self) -> String {
        self.one_table = false;
        let (one, other) = (Scope::of("r", "r").alone(), Scope::of("s", "s").alone());
        let operator = self.word(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"]);
        let halves = [(one, "r"), (other, "s")].map(|(scope, table)| {
            let (whole, flag) = (self.whole(&scope, 2), self.flag(&scope, 1));
            format!("SELECT CAST({whole} AS DOUBLE) AS x, {flag} AS y FROM {table}{}", self.condition(&scope))
        });
        format!("{} {operator} {}", halves[0], halves[1])
    }

    fn distinct(&mut self) -> String {
        let scope = Scope::of("r", "r").alone();
        let (small, flag) = (self.small(&scope, 2), self.flag(&scope, 1));
        match self.below(2) {
            0 => format!("SELECT DISTINCT {small}, {flag} FROM r{}", self.condition(&scope)),
            _ => format!(
                "SELECT DISTINCT ON ({small}) {small}, r.id, {} FROM r ORDER BY {small}, r.id",
                self.list(&scope, 1)
            ),
        }
    }

    /// A relation with calls inside, used with calls outside.
    fn derived(&mut self) -> (String, Scope, String) {
        let scope = Scope::of("r", "r").alone();
        let name = self.name();
        let inner = format!(
            "SELECT r.id AS id, {} AS p, {} AS q, {} AS h, {} AS w, r.i AS i FROM r{}",
            self.whole(&scope, 2),
            self.number(&scope, 1),
            self.small(&scope, 1),
            self.text(&scope, 1),
            self.condition(&scope)
        );
        let column = |column: &str| format!("{name}.{column}");
        let scope = Scope {
            numbers: ["p", "q", "h", "id"].map(column).to_vec(),
            indices: vec![column("i")],
            texts: vec![column("w")],
            keys: vec![column("id")],
            outer: None,
            filters: false,
        };
        (inner, scope, name)
    }

    fn nested(&mut self) -> String {
        self.one_table = false;
        let (inner, scope, name) = self.derived();
        let limit = match self.below(3) {
            0 => format!(" ORDER BY r.id LIMIT {}", 5 + self.below(30)),
            _ => String::new(),
        };
        let (list, condition) = (self.list(&scope, 2), self.condition(&scope));
        format!("SELECT {name}.id, {list} FROM ({inner}{limit}) AS {name}{condition}")
    }

    fn with(&mut self) -> String {
        self.one_table = false;
        let (inner, scope, name) = self.derived();
        match self.below(2) {
            0 => format!(
                "WITH {name} AS ({inner}) SELECT {name}.id, {} FROM {name} JOIN {name} AS twin ON {name}.id = twin.id \
                 AND {name}.p = twin.p{}",
                self.list(&scope, 1),
                self.condition(&scope)
            ),
            _ => format!(
                "WITH {name} AS ({inner}) SELECT {name}.id, {} FROM {name} WHERE {name}.p >= (SELECT min(p) FROM {name})",
                self.list(&scope, 2)
            ),
        }
    }

    fn list(&mut self, scope: &Scope, most: usize) -> String {
        let exprs: Vec<String> = (0..1 + self.below(most))
            .map(|_| {
                let expr = match self.below(4) {
                    0 => self.flag(scope, 2),
                    1 => self.text(scope, 2),
                    _ => self.number(scope, 3),
                };
                format!("{expr} AS {}", self.name())
            })
            .collect();
        exprs.join(", ")
    }

    fn condition(&mut self, scope: &Scope) -> String {
        let scope = &Scope { filters: true, ..scope.clone() };
        match self.below(6) {
            0 | 1 => String::new(),
            2 => format!(" WHERE {} AND {}", self.flag(scope, 1), self.flag(scope, 2)),
            3 | 4 => format!(" WHERE {} OR {}", self.flag(scope, 1), self.flag(scope, 2)),
            _ => format!(" WHERE {}", self.flag(scope, 3)),
        }
    }

    /// A whole number of moderate size, or NULL or NaN.
    fn whole(&mut self, scope: &Scope, depth: usize) -> String {
        let index = self.index(scope, depth);
        match self.below(5) {
            0 => format!("@affine({index})"),
            1 => format!("@whole({index})"),
            2 => format!("@double({index})"),
            3 => format!("@affine(@affine({index}))"),
            _ => index,
        }
    }

    /// A number that takes few values.
    fn small(&mut self, scope: &Scope, depth: usize) -> String {
        let index = self.pick(&scope.indices);
        match self.below(4) {
            0 => format!("@affine({index} % 3)"),
            1 => format!("CASE WHEN {} THEN 1 ELSE 2 END", self.flag(&scope.inner(), depth)),
            2 => format!("{index} % 4"),
            _ => format!("@linear({index} % 2; 1)"),
        }
    }

    /// A small whole number of an integer type, or NULL.
    fn index(&mut self, scope: &Scope, depth: usize) -> String {
        let column = self.pick(&scope.indices);
        match self.below(6) {
            0 => format!("({column} + {})", self.below(4)),
            1 => format!("({column} - {})", self.below(4)),
            2 if depth > 0 => {
                format!("CASE WHEN {} THEN {column} ELSE 2 END", self.flag(&scope.inner(), depth - 1))
            }
            3 => format!("coalesce({column}, 1)"),
            _ => column,
        }
    }

    fn number(&mut self, scope: &Scope, depth: usize) -> String {
        if depth == 0 {
            return match self.below(5) {
                0 => self.word(&["0", "1", "CAST(2.5 AS DOUBLE)", "-3", "7"]),
                _ => self.pick(&scope.numbers),
            };
        }
        let below = depth - 1;
        let scope = &scope.inner();
        match self.below(16) {
            0 | 1 => format!("@linear({}; {})", self.number(scope, below), self.number(scope, below)),
            2 | 3 => format!("@affine({})", self.number(scope, below)),
            4 => format!("@sum({}; {})", self.number(scope, below), self.number(scope, below)),
            5 => format!("@double({})", self.number(scope, below)),
            6 => format!("@found({})", self.index(scope, below)),
            7 => self.guarded(scope),
            8 => format!("({} + {})", self.number(scope, below), self.number(scope, below)),
            9 => format!("({} - {})", self.number(scope, below), self.number(scope, below)),
            10 | 11 => {
                let (condition, yes) = (self.flag(scope, below), self.number(scope, below));
                match self.below(3) {
                    0 => format!("CASE WHEN {condition} THEN {yes} END"),
                    _ => format!("CASE WHEN {condition} THEN {yes} ELSE {} END", self.number(scope, below)),
                }
            }
            12 => format!("coalesce({}, {})", self.number(scope, below), self.number(scope, below)),
            13 => format!("nullif({}, {})", self.number(scope, below), self.number(scope, below)),
            14 => self.subquery(scope),
            _ => self.number(scope, 0),
        }
    }

    /// A call that fails on some rows, behind a condition that keeps those rows away.
    fn guarded(&mut self, scope: &Scope) -> String {
        let index = self.pick(&scope.indices);
        let within = format!("{index} BETWEEN -10 AND 9");
        match self.below(4) {
            0 => format!("CASE WHEN {index} NOT BETWEEN -10 AND 9 THEN -1 ELSE @lookup({index}) END"),
            1 => format!("coalesce(CASE WHEN {index} NOT BETWEEN -10 AND 9 THEN 0 END, @lookup({index}))"),
            2 => format!("CASE WHEN {within} AND @lookup({index}) > 3 THEN @lookup({index}) END"),
            _ => format!("CASE WHEN {within} THEN @lookup({index}) END"),
        }
    }

    fn subquery(&mut self, scope: &Scope) -> String {
        self.one_table = false;
        let inner = Scope::of("s", "q").alone();
        let argument = self.whole(&inner, 1);
        match (&scope.outer, self.below(2)) {
            (Some(outer), 0) => format!("(SELECT max({argument}) FROM s q WHERE q.k = {outer})"),
            _ => format!("(SELECT min({argument}) FROM s q{})", self.condition(&inner)),
        }
    }

    fn flag(&mut self, scope: &Scope, depth: usize) -> String {
        if depth == 0 {
            let column = self.pick(&scope.numbers);
            return match self.below(4) {
                0 => format!("{column} IS NULL"),
                1 => format!("{column} > {}", self.below(6)),
                2 => format!("{} LIKE '%x%'", self.pick(&scope.texts)),
                _ => format!("{column} <= {}", self.below(6)),
            };
        }
        let below = depth - 1;
        match self.below(16) {
            0 | 1 => format!("@positive({})", self.number(scope, below)),
            2 => format!("@above({}; {})", self.number(scope, below), self.number(scope, below)),
            3 => format!("@failed({})", self.index(scope, below)),
            4 | 5 => {
                let operator = self.word(&["<", "<=", ">", ">=", "=", "<>", "IS DISTINCT FROM"]);
                format!("({} {operator} {})", self.number(scope, below), self.number(scope, below))
            }
            6 | 7 => format!("({} AND {})", self.flag(scope, below), self.flag(scope, below)),
            8 | 9 => format!("({} OR {})", self.flag(scope, below), self.flag(scope, below)),
            10 => format!("(NOT {})", self.flag(scope, below)),
            11 => format!("({} BETWEEN -4 AND {})", self.number(scope, below), self.number(scope, below)),
            12 => format!("({} IN (1, -2, {}))", self.number(scope, below), self.number(scope, below)),
            13 => format!("({} IS NOT NULL)", self.number(scope, below)),
            14 if scope.filters && scope.outer.is_some() => self.membership(scope),
            _ => format!("({} = {})", self.text(scope, below), self.text(scope, below)),
        }
    }

    /// Subqueries that become joins; only as conditions, where DataFusion plans them.
    fn membership(&mut self, scope: &Scope) -> String {
        self.one_table = false;
        let inner = Scope::of("s", "q").alone();
        let Some(outer) = &scope.outer else { return "true".to_owned() };
        let (probe, flag) = (self.whole(scope, 0), self.flag(&inner, 1));
        match self.below(3) {
            0 => format!("EXISTS (SELECT 1 FROM s q WHERE q.k = {outer} AND {flag})"),
            1 => format!("{probe} IN (SELECT {} FROM s q WHERE {flag})", self.whole(&inner, 1)),
            _ => format!("NOT EXISTS (SELECT 1 FROM s q WHERE q.id = {outer} AND {flag})"),
        }
    }

    fn text(&mut self, scope: &Scope, depth: usize) -> String {
        let column = self.pick(&scope.texts);
        match self.below(6) {
            0 => format!("@shout({column})"),
            1 if depth > 0 => format!("@shout({})", self.text(scope, depth - 1)),
            2 if depth > 0 => format!("@text({})", self.number(scope, depth - 1)),
            3 if depth > 0 => {
                let scope = &scope.inner();
                format!("CASE WHEN {} THEN @shout({column}) ELSE '-' END", self.flag(scope, depth - 1))
            }
            // The runtime reads a number from the beginning of a word, SQL from the whole word: no words of ours here.
            4 if column.ends_with(".w") && !column.starts_with('n') => format!("CAST(@parsed({column}) AS TEXT)"),
            _ => column,
        }
    }
}
