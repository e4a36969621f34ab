//! The routes by host and path: which one comes first, in a time that does not grow with their number.
//!
//! Patterns that begin alike share the way there, segment by segment, as in a radix tree. What a request
//! costs follows from the length of its path and from how many patterns with `*` fit its beginning.

use std::collections::HashMap;

use http::Method;

use super::path_pattern::{PathPattern, Segment, Tail};
use super::routes::HostRule;
use crate::base::origin::Host;

/// The first routes to match, by host and path.
#[derive(Debug)]
pub(super) struct RouteIndex {
    hosts: HashMap<Host, Tree>,
    every_host: Tree,
    /// Whether a route serves every host.
    open: bool,
}

/// What one route matches.
pub(super) struct Entry<'a> {
    pub(super) hosts: &'a HostRule,
    pub(super) path: Option<&'a PathPattern>,
    pub(super) methods: Option<&'a [Method]>,
}

/// The patterns of one host, as nodes that name each other by their places; the first is the root.
#[derive(Debug)]
struct Tree {
    nodes: Vec<Node>,
    /// The routes without a path.
    all: Vec<Leaf>,
}

/// A beginning that patterns have in common.
#[derive(Debug)]
struct Node {
    literals: HashMap<Box<[u8]>, usize>,
    /// Where `*` leads.
    any: Option<usize>,
    /// The patterns that end here.
    ends: Vec<Leaf>,
    /// The patterns whose `**` stands here.
    rests: Vec<Leaf>,
    /// The first route of all that is here or further on.
    first: usize,
}

/// A route, in the operator's order.
#[derive(Debug)]
struct Leaf {
    index: usize,
    methods: Option<Box<[Method]>>,
}

impl RouteIndex {
    /// Sorts `entries`, in the operator's order; `public_host` is what a route without a host serves.
    pub(super) fn new<'a>(public_host: &Host, entries: impl Iterator<Item = Entry<'a>>) -> Self {
        let mut this = Self {
            hosts: HashMap::from([(public_host.clone(), Tree::default())]),
            every_host: Tree::default(),
            open: false,
        };
        for (index, entry) in entries.enumerate() {
            let tree = match entry.hosts {
                HostRule::Any => {
                    this.open = true;
                    &mut this.every_host
                }
                HostRule::Public => this.hosts.entry(public_host.clone()).or_default(),
                HostRule::One(host) => this.hosts.entry(host.clone()).or_default(),
            };
            tree.insert(index, &entry);
        }
        this
    }

    /// Whether any route serves `host`.
    pub(super) fn knows(&self, host: &Host) -> bool {
        self.open || self.hosts.contains_key(host)
    }

    /// The first route, as its place in the operator's order, that serves `host`, `path` and `method`.
    pub(super) fn first(&self, host: &Host, path: &[u8], method: &Method) -> Option<usize> {
        let mut best = usize::MAX;
        if let Some(tree) = self.hosts.get(host) {
            tree.visit(path, method, &mut best);
        }
        if self.open {
            self.every_host.visit(path, method, &mut best);
        }
        (best != usize::MAX).then_some(best)
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::new(usize::MAX)],
            all: Vec::new(),
        }
    }
}

impl Node {
    fn new(first: usize) -> Self {
        Self {
            literals: HashMap::new(),
            any: None,
            ends: Vec::new(),
            rests: Vec::new(),
            first,
        }
    }
}

impl Tree {
    /// Entries come in their order, so that each list is sorted.
    fn insert(&mut self, index: usize, entry: &Entry<'_>) {
        let leaf = Leaf {
            index,
            methods: entry.methods.map(Into::into),
        };
        let Some(path) = entry.path else {
            self.all.push(leaf);
            return;
        };
        let mut at = 0;
        for segment in path.segments() {
            let fresh = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else {
                return;
            };
            node.first = node.first.min(index);
            at = match segment {
                Segment::Literal(text) => *node.literals.entry(text.clone()).or_insert(fresh),
                Segment::Any => *node.any.get_or_insert(fresh),
            };
            if at == fresh {
                self.nodes.push(Node::new(index));
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.first = node.first.min(index);
            match path.tail() {
                Tail::End => node.ends.push(leaf),
                Tail::Rest => node.rests.push(leaf),
            }
        }
    }

    /// Makes `best` the place of the first route that fits, if it comes before.
    fn visit(&self, path: &[u8], method: &Method, best: &mut usize) {
        Leaf::first_of(&self.all, method, best);
        if let Some(rest) = path.strip_prefix(b"/") {
            self.visit_node(0, Some(rest), method, best);
        }
    }

    /// The same for what lies beyond the node at `at`; `rest` is what of the path is left, if anything.
    fn visit_node(&self, at: usize, rest: Option<&[u8]>, method: &Method, best: &mut usize) {
        let Some(node) = self.nodes.get(at).filter(|node| node.first < *best) else {
            return;
        };
        Leaf::first_of(&node.rests, method, best);
        let Some(rest) = rest else {
            Leaf::first_of(&node.ends, method, best);
            return;
        };
        let (segment, after) = match rest.iter().position(|&byte| byte == b'/') {
            Some(at) => (rest.get(..at).unwrap_or(rest), rest.get(at + 1..)),
            None => (rest, None),
        };
        if let Some(next) = node.literals.get(segment) {
            self.visit_node(*next, after, method, best);
        }
        if let Some(next) = node.any.filter(|_| !segment.is_empty()) {
            self.visit_node(next, after, method, best);
        }
    }
}

impl Leaf {
    fn first_of(leaves: &[Self], method: &Method, best: &mut usize) {
        let before = leaves.iter().take_while(|leaf| leaf.index < *best);
        let mut fitting = before.filter(|leaf| {
            let methods = leaf.methods.as_deref();
            methods.is_none_or(|list| allows(list, method))
        });
        if let Some(leaf) = fitting.next() {
            *best = leaf.index;
        }
    }
}

/// HEAD is GET without the body (RFC 9110 section 9.3.2), so it follows GET's rule.
pub(super) fn allows(list: &[Method], method: &Method) -> bool {
    list.contains(method) || (*method == Method::HEAD && list.contains(&Method::GET))
}
