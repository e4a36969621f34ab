//! Rust source as words: enough of a lexer to tell code from comments and strings.

/// A word of the code, with the line that it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// An identifier, a number, `::`, or one other character.
    pub(crate) text: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// Whether it is inside something marked `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

/// The words of `source`. Comments, strings, characters and lifetimes are left out.
pub(crate) fn words(source: &str) -> Vec<Word> {
    let mut lexer = Lexer {
        chars: source.chars().collect(),
        at: 0,
        line: 1,
        words: Vec::new(),
    };
    lexer.run();
    mark_tests(&mut lexer.words);
    lexer.words
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    words: Vec<Word>,
}

impl Lexer {
    fn run(&mut self) {
        while let Some(char) = self.peek(0) {
            match (char, self.peek(1)) {
                ('/', Some('/')) => self.skip_while(|char| char != '\n'),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('\'', _) => self.character_or_lifetime(),
                (':', Some(':')) => {
                    self.word("::".to_owned());
                    self.advance(2);
                }
                _ if char.is_alphanumeric() || char == '_' => self.identifier(),
                _ => {
                    if !char.is_whitespace() {
                        self.word(char.to_string());
                    }
                    self.advance(1);
                }
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn advance(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek(0) == Some('\n') {
                self.line += 1;
            }
            self.at += 1;
        }
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.advance(1);
        }
    }

    fn word(&mut self, text: String) {
        self.words.push(Word {
            text,
            line: self.line,
            in_test: false,
        });
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.advance(2);
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.advance(2);
                }
                (None, _) => return,
                _ => self.advance(1),
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.advance(1);
        while let Some(char) = self.peek(0) {
            self.advance(if char == '\\' { 2 } else { 1 });
            if char == '"' {
                return;
            }
        }
    }

    fn character_or_lifetime(&mut self) {
        if self.peek(1) == Some('\\') {
            self.advance(3);
            self.skip_while(|char| char != '\'');
            self.advance(1);
        } else if self.peek(2) == Some('\'') {
            self.advance(3);
        } else {
            self.advance(1);
            self.skip_while(|char| char.is_alphanumeric() || char == '_');
        }
    }

    fn identifier(&mut self) {
        let from = self.at;
        self.skip_while(|char| char.is_alphanumeric() || char == '_');
        let text: String = self.chars[from..self.at].iter().collect();
        let rest = &self.chars[self.at..];
        let hashes = rest.iter().take_while(|&&char| char == '#').count();
        if matches!(text.as_str(), "r" | "br" | "cr") && self.peek(hashes) == Some('"') {
            self.raw_string(hashes);
        } else if matches!(text.as_str(), "b" | "c") && self.peek(0) == Some('"') {
            self.string();
        } else if text == "b" && self.peek(0) == Some('\'') {
            self.character_or_lifetime();
        } else {
            self.word(text);
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        self.advance(hashes + 1);
        let is_end = |lexer: &Self| {
            lexer.peek(0) == Some('"') && (1..=hashes).all(|n| lexer.peek(n) == Some('#'))
        };
        while self.peek(0).is_some() && !is_end(self) {
            self.advance(1);
        }
        self.advance(hashes + 1);
    }
}

/// Marks what stands under `#[cfg(test)]`: an item up to its `;` or the end of its block, a field or
/// variant up to its `,`.
fn mark_tests(words: &mut [Word]) {
    let marker = ["#", "[", "cfg", "(", "test", ")", "]"];
    for start in 0..words.len() {
        let here = words[start..].iter().map(|word| word.text.as_str());
        if !here.take(marker.len()).eq(marker) {
            continue;
        }
        let mut depth = 0_usize;
        for word in &mut words[start + marker.len()..] {
            match word.text.as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" if depth == 0 => break,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            word.in_test = true;
            if depth == 0 && matches!(word.text.as_str(), ";" | "," | "}") {
                break;
            }
        }
    }
}
