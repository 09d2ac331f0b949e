//! What was lowered for one request, so that exactly that is raised again.

use std::collections::HashMap;

use crate::tools::OfferedTool;

/// The names and forms under which the tools of one request go over the wire.
///
/// The ledger is rebuilt from each request and travels with it: no map outlives a turn and no prefix carries meaning. The
/// same tools always get the same names, because a changed name would cost the provider's prompt cache.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: Vec<Lowered>,
    by_wire_name: HashMap<String, usize>,
    by_identity: HashMap<String, usize>,
    rule: NameRule,
}

/// One tool as it was lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// The name that the provider sees.
    pub wire_name: String,
    /// The tool's own name.
    pub name: String,
    /// The namespace that it lives in.
    pub namespace: Option<String>,
    /// The form in which a call has to come back.
    pub form: Form,
}

/// The form of a tool, as its client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A function with JSON arguments.
    Function,
    /// A tool with free text, offered to the provider as a function with one string argument.
    Freeform,
    /// The client's search for further tools, offered to the provider as a function.
    Search,
}

/// A tool call's target, as the client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised<'a> {
    /// The tool's own name, or the name as the model wrote it.
    pub name: &'a str,
    /// The namespace that it lives in.
    pub namespace: Option<&'a str>,
    /// The form in which the call goes to the client.
    pub form: Form,
    /// Whether the tool was declared. A call to one that was not is passed on as the model wrote it, so that the client can
    /// tell the model so.
    pub declared: bool,
}

/// Which tool names a provider takes: letters, digits, `_` and `-`, up to a length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRule {
    /// The most characters.
    pub length_max: usize,
    /// Names that mean something else to the provider; one that ends in `*` stands for all that begin so.
    pub reserved: Vec<String>,
}

impl Default for NameRule {
    /// 64 characters: what OpenAI documents and every compatible provider takes.
    fn default() -> Self {
        Self {
            length_max: 64,
            reserved: Vec::new(),
        }
    }
}

impl NameRule {
    fn allows(&self, name: &str) -> bool {
        !name.is_empty()
            && name.len() <= self.length_max
            && name.bytes().all(is_legal)
            && !self.reserves(name)
    }

    fn reserves(&self, name: &str) -> bool {
        self.reserved
            .iter()
            .any(|reserved| match reserved.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == reserved,
            })
    }
}

const fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

impl Ledger {
    /// An empty ledger.
    pub fn new(rule: NameRule) -> Self {
        Self {
            rule,
            ..Self::default()
        }
    }

    /// Declares all tools at once; gives the ledger and the tools without repetitions.
    ///
    /// Names that can stand as they are get their place first, so that a flattened name never takes one from them.
    pub(crate) fn declare_all(
        tools: Vec<OfferedTool<'_>>,
        rule: NameRule,
    ) -> (Self, Vec<OfferedTool<'_>>) {
        let stands = |tool: &OfferedTool<'_>| tool.namespace.is_none() && rule.allows(tool.name);
        let firsts: Vec<bool> = tools.iter().map(stands).collect();
        let mut ledger = Self::new(rule);
        let mut kept = vec![false; tools.len()];
        for first_round in [true, false] {
            for (index, tool) in tools.iter().enumerate() {
                if firsts[index] == first_round {
                    kept[index] = ledger.declare(tool.name, tool.namespace, tool.kind.form());
                }
            }
        }
        let mut kept = kept.into_iter();
        let tools = tools
            .into_iter()
            .filter(|_| kept.next().unwrap_or(false))
            .collect();
        (ledger, tools)
    }

    /// Adds a tool. `false` when a tool of that name and namespace is there already.
    pub fn declare(&mut self, name: &str, namespace: Option<&str>, form: Form) -> bool {
        let identity = identity(name, namespace);
        if self.by_identity.contains_key(&identity) {
            return false;
        }
        let wire_name = self.free_name(name, namespace);
        let index = self.entries.len();
        self.by_wire_name.insert(wire_name.clone(), index);
        self.by_identity.insert(identity, index);
        self.entries.push(Lowered {
            wire_name,
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
            form,
        });
        true
    }

    /// The wire name of a tool. A tool that only the history mentions is declared on the way, so that its earlier calls keep a
    /// legal name and a new call to it comes back under its own.
    pub fn wire_name(&mut self, name: &str, namespace: Option<&str>, form: Form) -> &str {
        self.declare(name, namespace, form);
        let index = self.by_identity.get(&identity(name, namespace));
        index.map_or("", |&index| &self.entries[index].wire_name)
    }

    /// The wire name of a tool that was declared.
    pub fn declared_wire_name(&self, name: &str, namespace: Option<&str>) -> Option<&str> {
        let index = self.by_identity.get(&identity(name, namespace))?;
        Some(&self.entries[*index].wire_name)
    }

    /// What a name on the wire stands for.
    ///
    /// Models sometimes misspell what they were offered. A name that is not in the ledger is looked for without regard to
    /// case, then as a bare tool name that only one namespace has, then with `.`, `/` or `:` read as `__`. When none of these
    /// gives exactly one tool, the name is passed as written.
    pub fn raise<'l>(&'l self, wire_name: &'l str) -> Raised<'l> {
        let found = self.by_wire_name.get(wire_name).copied().or_else(|| {
            let respelled = wire_name.replace(['.', '/', ':'], "__");
            self.only(|entry| entry.wire_name.eq_ignore_ascii_case(wire_name))
                .or_else(|| self.only(|entry| entry.name == wire_name))
                .or_else(|| self.only(|entry| entry.wire_name == respelled))
        });
        match found.map(|index| &self.entries[index]) {
            Some(entry) => Raised {
                name: &entry.name,
                namespace: entry.namespace.as_deref(),
                form: entry.form,
                declared: true,
            },
            None => Raised {
                name: wire_name,
                namespace: None,
                form: Form::Function,
                declared: false,
            },
        }
    }

    /// Every tool, in the order of declaration.
    pub fn entries(&self) -> &[Lowered] {
        &self.entries
    }

    fn only(&self, fits: impl Fn(&Lowered) -> bool) -> Option<usize> {
        let mut fitting = (0..self.entries.len()).filter(|&index| fits(&self.entries[index]));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }

    /// A legal name that nobody has yet: the flattened name when it fits, else a shortened one with a hash of the whole.
    /// Shortening without the hash would make one tool of two whose names differ only at the end.
    fn free_name(&self, name: &str, namespace: Option<&str>) -> String {
        let flat = match namespace {
            Some(namespace) => format!("{namespace}__{name}"),
            None => name.to_owned(),
        };
        if self.rule.allows(&flat) && !self.by_wire_name.contains_key(&flat) {
            return flat;
        }
        let legal: String = flat
            .chars()
            .map(|letter| match u8::try_from(letter) {
                Ok(byte) if is_legal(byte) => letter,
                _ => '_',
            })
            .collect();
        let legal = if self.rule.reserves(&legal) {
            format!("tool_{legal}")
        } else {
            legal
        };
        // What is only reserved needs no hash as long as nobody else has the name.
        if self.rule.reserves(&flat)
            && self.rule.allows(&legal)
            && !self.by_wire_name.contains_key(&legal)
        {
            return legal;
        }
        let stem = &legal[..legal.len().min(self.rule.length_max.saturating_sub(9))];
        let identity = identity(name, namespace);
        let mut round = 0u32;
        loop {
            let candidate = format!("{stem}_{:08x}", short_hash(&identity, round));
            if !self.by_wire_name.contains_key(&candidate) {
                return candidate;
            }
            round += 1;
        }
    }
}

/// A key under which a tool is found. The separator cannot stand in a JSON string unescaped, let alone in a tool name.
fn identity(name: &str, namespace: Option<&str>) -> String {
    format!("{}\u{1f}{name}", namespace.unwrap_or_default())
}

/// FNV-1a, folded to 32 bits: stable over versions and machines, which is all that is needed here.
fn short_hash(text: &str, round: u32) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(round);
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
    u32::try_from(folded).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_fit_stay() {
        let mut ledger = Ledger::new(NameRule::default());
        assert_eq!(
            ledger.wire_name("exec_command", None, Form::Function),
            "exec_command"
        );
        assert_eq!(
            ledger.wire_name("add", Some("mcp__demo"), Form::Function),
            "mcp__demo__add"
        );
        let raised = ledger.raise("mcp__demo__add");
        assert_eq!((raised.name, raised.namespace), ("add", Some("mcp__demo")));
    }

    #[test]
    fn illegal_long_and_colliding_names_get_a_hash() {
        let mut ledger = Ledger::new(NameRule::default());
        let long = "x".repeat(80);
        let names = [
            ledger.wire_name("a.b", None, Form::Function).to_owned(),
            ledger.wire_name("a/b", None, Form::Function).to_owned(),
            ledger.wire_name(&long, None, Form::Function).to_owned(),
            ledger
                .wire_name(&format!("{long}y"), None, Form::Function)
                .to_owned(),
            ledger
                .wire_name("b__c", Some("a"), Form::Function)
                .to_owned(),
            ledger
                .wire_name("c", Some("a__b"), Form::Function)
                .to_owned(),
            ledger.wire_name("größe", None, Form::Function).to_owned(),
        ];
        for (index, name) in names.iter().enumerate() {
            assert!(NameRule::default().allows(name), "{name}");
            assert!(!names[..index].contains(name), "{name}");
        }
    }

    #[test]
    fn reserved_names_are_not_given_out() {
        let rule = NameRule {
            reserved: ["exec", "mcp__*"].map(str::to_owned).to_vec(),
            ..NameRule::default()
        };
        let mut ledger = Ledger::new(rule.clone());
        for (name, namespace) in [("exec", None), ("mcp__a", None), ("add", Some("mcp__demo"))] {
            let wire = ledger.wire_name(name, namespace, Form::Function).to_owned();
            assert!(rule.allows(&wire) && wire.starts_with("tool_"), "{wire}");
            let raised = ledger.raise(&wire);
            assert_eq!((raised.name, raised.namespace), (name, namespace));
        }
        assert_eq!(ledger.wire_name("exec_2", None, Form::Function), "exec_2");
    }

    #[test]
    fn near_misses_are_found_only_when_clear() {
        let mut ledger = Ledger::new(NameRule::default());
        ledger.declare("add", Some("mcp__demo"), Form::Function);
        ledger.declare("get", Some("one"), Form::Function);
        ledger.declare("get", Some("two"), Form::Function);
        ledger.declare("apply_patch", None, Form::Freeform);
        assert_eq!(ledger.raise("add").namespace, Some("mcp__demo"));
        assert_eq!(ledger.raise("MCP__demo__add").namespace, Some("mcp__demo"));
        assert_eq!(ledger.raise("mcp__demo.add").namespace, Some("mcp__demo"));
        assert_eq!(ledger.raise("Apply_Patch").form, Form::Freeform);
        let unclear = ledger.raise("get");
        assert_eq!((unclear.name, unclear.declared), ("get", false));
    }

    proptest! {
        #[test]
        fn lowering_and_raising_is_the_identity(
            tools in prop::collection::vec((prop::option::of("[a-z_./]{1,40}"), "[A-Za-zé_./-]{1,70}"), 1..30),
        ) {
            let mut ledger = Ledger::new(NameRule::default());
            let wire: Vec<String> = tools
                .iter()
                .map(|(space, name)| ledger.wire_name(name, space.as_deref(), Form::Function).to_owned())
                .collect();
            for ((space, name), wire) in tools.iter().zip(&wire) {
                prop_assert!(NameRule::default().allows(wire));
                let raised = ledger.raise(wire);
                prop_assert_eq!((raised.name, raised.namespace), (name.as_str(), space.as_deref()));
            }
        }
    }
}
