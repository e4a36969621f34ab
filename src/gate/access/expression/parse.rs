//! From text to a tree in which every name is known and every type fits, as far as can be told beforehand.

use super::{ExpressionError, Inputs};
use crate::oidc::claim_path::ClaimPath;

/// The most bytes of an expression, and how deep it may go.
const LONGEST: usize = 4096;
const DEEPEST: usize = 32;

/// A part of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Self>),
    Input(Input),
    Claim(ClaimPath),
    /// What the loop is at.
    Element,
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
    Compare(Comparison, Box<(Self, Self)>),
    In(Box<(Self, Self)>),
    Size(Box<Self>),
    Test(TextTest, Box<(Self, Self)>),
    Has(ClaimPath),
    Loop(Quantifier, Box<(Self, Self)>),
}

/// What is known besides claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Subject,
    Email,
    Groups,
    Provider,
    Acr,
    Method,
    Host,
    Address,
    Hour,
    Weekday,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    All,
    Exists,
}

/// What is known of a value beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Text,
    List,
    /// A claim, or an element of one.
    Open,
}

const INPUTS: [(&str, &str, Input); 10] = [
    ("user", "subject", Input::Subject),
    ("user", "email", Input::Email),
    ("user", "groups", Input::Groups),
    ("user", "provider", Input::Provider),
    ("user", "acr", Input::Acr),
    ("request", "method", Input::Method),
    ("request", "host", Input::Host),
    ("request", "client_address", Input::Address),
    ("request", "hour", Input::Hour),
    ("request", "weekday", Input::Weekday),
];

const TESTS: [(&str, TextTest); 3] = [
    ("startsWith", TextTest::StartsWith),
    ("endsWith", TextTest::EndsWith),
    ("contains", TextTest::Contains),
];

const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("<", Comparison::Less),
    (">", Comparison::More),
];

type Parsed = Result<Node, ExpressionError>;

/// Reads the whole of `source`.
pub(super) fn parse(source: &str, inputs: Inputs) -> Parsed {
    let mut parser = Parser {
        rest: source,
        whole: source,
        inputs,
        element: None,
        depth: 0,
    };
    if source.len() > LONGEST {
        return Err(parser.error("an expression has 4096 bytes at most"));
    }
    let root = parser.either()?;
    parser.skip_space();
    if !parser.rest.is_empty() {
        return Err(parser.error("this does not belong here"));
    }
    parser.demand(&root, Kind::Bool)?;
    Ok(root)
}

struct Parser<'s> {
    rest: &'s str,
    whole: &'s str,
    inputs: Inputs,
    /// What the loop that is under way calls its element.
    element: Option<&'s str>,
    depth: usize,
}

impl<'s> Parser<'s> {
    fn error(&self, what: impl Into<String>) -> ExpressionError {
        let read = self.whole.len().saturating_sub(self.rest.len());
        let before = self.whole.get(..read).unwrap_or(self.whole);
        ExpressionError {
            at: before.chars().count().saturating_add(1),
            what: what.into(),
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Takes `token`, which is no word, if it comes next.
    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), ExpressionError> {
        if self.take(token) {
            return Ok(());
        }
        Err(self.error(format!("`{token}` is missing")))
    }

    /// Takes a word, if one comes next.
    fn word(&mut self) -> Option<&'s str> {
        self.skip_space();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.rest = rest;
        Some(word)
    }

    fn demand(&self, node: &Node, kind: Kind) -> Result<(), ExpressionError> {
        let found = kind_of(node);
        if found == kind || found == Kind::Open {
            return Ok(());
        }
        let name = |kind| match kind {
            Kind::Bool => "true or false",
            Kind::Int => "a number",
            Kind::Text => "a text",
            Kind::List => "a list",
            Kind::Open => "a claim",
        };
        Err(self.error(format!(
            "what stands before this is {}, and must be {}",
            name(found),
            name(kind)
        )))
    }

    /// `a || b`
    fn either(&mut self) -> Parsed {
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEEPEST {
            return Err(self.error("this goes too deep"));
        }
        let mut all = vec![self.both()?];
        while self.take("||") {
            all.push(self.both()?);
        }
        self.depth = self.depth.saturating_sub(1);
        self.joined(all, Node::Any)
    }

    /// `a && b`
    fn both(&mut self) -> Parsed {
        let mut all = vec![self.relation()?];
        while self.take("&&") {
            all.push(self.relation()?);
        }
        self.joined(all, Node::All)
    }

    fn joined(&self, mut all: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Parsed {
        match (all.len(), all.pop()) {
            (1, Some(only)) => Ok(only),
            (_, last) => {
                all.extend(last);
                for one in &all {
                    self.demand(one, Kind::Bool)?;
                }
                Ok(join(all))
            }
        }
    }

    /// `a == b`, `a in b`
    fn relation(&mut self) -> Parsed {
        let left = self.unary()?;
        let before = self.rest;
        if self.word() == Some("in") {
            let right = self.unary()?;
            self.demand(&right, Kind::List)?;
            return Ok(Node::In(Box::new((left, right))));
        }
        self.rest = before;
        let Some((_, how)) = COMPARISONS.into_iter().find(|(sign, _)| self.take(sign)) else {
            return Ok(left);
        };
        let right = self.unary()?;
        let kinds = (kind_of(&left), kind_of(&right));
        if kinds.0 != kinds.1 && kinds.0 != Kind::Open && kinds.1 != Kind::Open {
            return Err(self.error("the two sides of the comparison are of different types"));
        }
        if kinds.0 == Kind::List || kinds.1 == Kind::List {
            return Err(self.error("lists are not compared; ask whether something is `in` one"));
        }
        let ordered = !matches!(how, Comparison::Equal | Comparison::Unequal);
        if ordered && (kinds.0 == Kind::Bool || kinds.1 == Kind::Bool) {
            return Err(self.error("true and false have no order"));
        }
        Ok(Node::Compare(how, Box::new((left, right))))
    }

    /// `!a`
    fn unary(&mut self) -> Parsed {
        self.skip_space();
        if self.rest.starts_with('!') && !self.rest.starts_with("!=") && self.take("!") {
            self.depth = self.depth.saturating_add(1);
            if self.depth > DEEPEST {
                return Err(self.error("this goes too deep"));
            }
            let inner = self.unary()?;
            self.depth = self.depth.saturating_sub(1);
            self.demand(&inner, Kind::Bool)?;
            return Ok(Node::Not(Box::new(inner)));
        }
        self.member()
    }

    /// Something, and what is asked of it.
    fn member(&mut self) -> Parsed {
        let mut node = self.primary()?;
        while self.take(".") {
            node = match self.word() {
                Some("size") => {
                    self.expect("(")?;
                    self.expect(")")?;
                    Node::Size(Box::new(node))
                }
                Some("all") => self.quantified(Quantifier::All, node)?,
                Some("exists") => self.quantified(Quantifier::Exists, node)?,
                name => match TESTS.into_iter().find(|(known, _)| Some(*known) == name) {
                    Some((_, test)) => {
                        self.demand(&node, Kind::Text)?;
                        let part = self.argument()?;
                        self.demand(&part, Kind::Text)?;
                        Node::Test(test, Box::new((node, part)))
                    }
                    None => {
                        return Err(self.error(
                            "of a value one asks `startsWith`, `endsWith`, `contains`, `size`, `exists` or `all`",
                        ));
                    }
                },
            };
        }
        Ok(node)
    }

    fn argument(&mut self) -> Parsed {
        self.expect("(")?;
        let inner = self.either()?;
        self.expect(")")?;
        Ok(inner)
    }

    fn quantified(&mut self, quantifier: Quantifier, list: Node) -> Parsed {
        self.demand(&list, Kind::List)?;
        self.expect("(")?;
        let name = self.word();
        let name = name.ok_or_else(|| self.error("the element's name is missing"))?;
        if self.element.replace(name).is_some() {
            return Err(self.error("a loop in a loop: one list at a time"));
        }
        if ["user", "request", "claims"].contains(&name) {
            return Err(self.error("this name is taken"));
        }
        self.expect(",")?;
        let body = self.either()?;
        self.demand(&body, Kind::Bool)?;
        self.expect(")")?;
        self.element = None;
        Ok(Node::Loop(quantifier, Box::new((list, body))))
    }

    fn primary(&mut self) -> Parsed {
        self.skip_space();
        match self.rest.chars().next() {
            Some('(') => self.argument(),
            Some('[') => self.list(),
            Some('"' | '\'') => self.text().map(Node::Text),
            Some('0'..='9' | '-') => self.number(),
            _ => match self.word() {
                Some("true") => Ok(Node::Bool(true)),
                Some("false") => Ok(Node::Bool(false)),
                Some("has") => {
                    self.expect("(")?;
                    if self.word() != Some("claims") {
                        return Err(self.error("`has` asks about a claim: `has(claims.x)`"));
                    }
                    let path = self.claim()?;
                    self.expect(")")?;
                    Ok(Node::Has(path))
                }
                Some("size") => Ok(Node::Size(Box::new(self.argument()?))),
                Some("claims") => self.claim().map(Node::Claim),
                Some(word) if self.element == Some(word) => Ok(Node::Element),
                Some(root @ ("user" | "request")) => self.input(root),
                Some(_) => Err(self.error(
                    "what stands before this is not known: `claims`, `user` and `request` are",
                )),
                None => Err(self.error("a value is missing")),
            },
        }
    }

    fn input(&mut self, root: &str) -> Parsed {
        if root == "request" && self.inputs == Inputs::Person {
            return Err(self.error("at the sign-in there is no request to be judged yet"));
        }
        self.expect(".")?;
        let name = self.word();
        let mut own = INPUTS.into_iter().filter(|(of, ..)| *of == root);
        if let Some((.., input)) = own.clone().find(|(_, known, _)| Some(*known) == name) {
            return Ok(Node::Input(input));
        }
        let first = own.next().map_or("", |(_, known, _)| known);
        let others = own.map(|(_, known, _)| format!(", `{root}.{known}`"));
        let others: String = others.collect();
        Err(self.error(format!("known are `{root}.{first}`{others}")))
    }

    /// `.a.b` or `["a"]` behind `claims`. A method's name ends the path.
    fn claim(&mut self) -> Result<ClaimPath, ExpressionError> {
        let mut parts: Vec<String> = Vec::new();
        loop {
            let before = self.rest;
            if self.take("[") {
                let part = self.text()?;
                self.expect("]")?;
                // A dot leads into an object, as in every other path of a claim.
                parts.push(part);
            } else if self.take(".") {
                let word = self.word();
                let word = word.ok_or_else(|| self.error("the claim's name is missing"))?;
                if !parts.is_empty() && self.rest.trim_start().starts_with('(') {
                    self.rest = before;
                    break;
                }
                parts.push(word.to_owned());
            } else {
                break;
            }
        }
        if parts.is_empty() {
            return Err(self.error("the claim's name is missing: `claims.x`"));
        }
        let path = ClaimPath::parse(&parts.join("."));
        path.map_err(|error| self.error(error.to_string()))
    }

    fn list(&mut self) -> Parsed {
        self.expect("[")?;
        let mut all = Vec::new();
        while !self.take("]") {
            if !all.is_empty() {
                self.expect(",")?;
            }
            self.skip_space();
            let one = match self.rest.chars().next() {
                Some('"' | '\'') => Node::Text(self.text()?),
                Some('0'..='9' | '-') => self.number()?,
                _ => return Err(self.error("a list holds texts or numbers")),
            };
            if all
                .first()
                .is_some_and(|first| kind_of(first) != kind_of(&one))
            {
                return Err(self.error("a list holds values of one type"));
            }
            all.push(one);
        }
        Ok(Node::List(all))
    }

    fn number(&mut self) -> Parsed {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
        let digits = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let end = digits.find(|c| !is_part(c)).unwrap_or(digits.len());
        let end = end.saturating_add(self.rest.len().saturating_sub(digits.len()));
        let text = self.rest.get(..end).unwrap_or("");
        match text.parse() {
            Ok(number) => {
                self.rest = self.rest.get(end..).unwrap_or("");
                Ok(Node::Int(number))
            }
            Err(_) => Err(self.error("not a whole number")),
        }
    }

    fn text(&mut self) -> Result<String, ExpressionError> {
        self.skip_space();
        let mut chars = self.rest.chars();
        let quote = chars.next().filter(|c| matches!(c, '"' | '\''));
        let quote = quote.ok_or_else(|| self.error("a text is missing"))?;
        let mut text = String::new();
        loop {
            match chars.next() {
                None | Some('\n') => return Err(self.error("the text does not end")),
                Some(end) if end == quote => break,
                Some('\\') => match chars.next() {
                    Some(c @ ('\\' | '"' | '\'')) => text.push(c),
                    _ => return Err(self.error("after a backslash comes a quote or another one")),
                },
                Some(c) => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Ok(text)
    }
}

fn kind_of(node: &Node) -> Kind {
    match node {
        Node::Bool(_)
        | Node::Not(_)
        | Node::All(_)
        | Node::Any(_)
        | Node::Compare(..)
        | Node::In(_)
        | Node::Test(..)
        | Node::Has(_)
        | Node::Loop(..) => Kind::Bool,
        Node::Int(_) | Node::Size(_) | Node::Input(Input::Hour | Input::Weekday) => Kind::Int,
        Node::List(_) | Node::Input(Input::Groups) => Kind::List,
        Node::Claim(_) | Node::Element => Kind::Open,
        Node::Text(_) | Node::Input(_) => Kind::Text,
    }
}

impl Node {
    /// Calls `each` with this and everything in it.
    pub(super) fn for_each<'a>(&'a self, each: &mut dyn FnMut(&'a Self)) {
        each(self);
        match self {
            Self::Not(one) | Self::Size(one) => one.for_each(each),
            Self::All(all) | Self::Any(all) | Self::List(all) => {
                for one in all {
                    one.for_each(each);
                }
            }
            Self::Compare(_, two) | Self::In(two) | Self::Test(_, two) | Self::Loop(_, two) => {
                two.0.for_each(each);
                two.1.for_each(each);
            }
            Self::Bool(_)
            | Self::Int(_)
            | Self::Text(_)
            | Self::Input(_)
            | Self::Claim(_)
            | Self::Has(_)
            | Self::Element => {}
        }
    }
}
