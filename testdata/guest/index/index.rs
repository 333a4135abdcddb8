//! An index of words in Rust, with the standard library's collections, its
//! formatting and its panics. It is built for wasm32-unknown-unknown and asks
//! the host for the System API alone.
//!
//!   update add    "TITLE: words of the document"   replies the number of new words
//!   update drop   "TITLE"                          replies the number of words it had
//!   query  find   "word"                           replies the titles, in order
//!   query  top    "n"                              replies the n most frequent words
//!   update fail   "text"                           panics, after changing the index

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

#[link(wasm_import_module = "ic0")]
extern "C" {
    fn msg_arg_data_size() -> usize;
    fn msg_arg_data_copy(to: *mut u8, offset: usize, size: usize);
    fn msg_reply_data_append(data: *const u8, size: usize);
    fn msg_reply();
    fn trap(text: *const u8, size: usize) -> !;
}

#[derive(Default)]
struct Index {
    documents: BTreeMap<String, BTreeSet<String>>,
    words: BTreeMap<String, BTreeSet<String>>,
}

thread_local! {
    static INDEX: RefCell<Index> = RefCell::new(Index::default());
}

impl Index {
    fn add(&mut self, title: &str, text: &str) -> usize {
        let before = self.words.len();
        for word in text.split_whitespace().map(str::to_lowercase) {
            self.documents.entry(title.to_string()).or_default().insert(word.clone());
            self.words.entry(word).or_default().insert(title.to_string());
        }
        self.words.len() - before
    }

    fn remove(&mut self, title: &str) -> usize {
        let words = self.documents.remove(title).unwrap_or_default();
        for word in &words {
            if let Some(titles) = self.words.get_mut(word) {
                titles.remove(title);
                if titles.is_empty() {
                    self.words.remove(word);
                }
            }
        }
        words.len()
    }

    fn top(&self, count: usize) -> String {
        let mut list: Vec<_> = self.words.iter().map(|(word, titles)| (titles.len(), word)).collect();
        list.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let mut text = String::new();
        for (titles, word) in list.into_iter().take(count) {
            let share = titles as f64 / self.documents.len() as f64;
            writeln!(text, "{word} {titles} {share:.3}").unwrap();
        }
        text
    }
}

fn argument() -> String {
    let mut bytes = vec![0; unsafe { msg_arg_data_size() }];
    unsafe { msg_arg_data_copy(bytes.as_mut_ptr(), 0, bytes.len()) };
    String::from_utf8(bytes).expect("the argument is UTF-8")
}

fn reply(text: &str) {
    unsafe {
        msg_reply_data_append(text.as_ptr(), text.len());
        msg_reply();
    }
}

#[export_name = "canister_init"]
pub extern "C" fn init() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        unsafe { trap(text.as_ptr(), text.len()) }
    }));
}

#[export_name = "canister_update add"]
pub extern "C" fn add() {
    let argument = argument();
    let (title, text) = argument.split_once(':').expect("TITLE: TEXT");
    let added = INDEX.with(|index| index.borrow_mut().add(title.trim(), text));
    reply(&added.to_string());
}

#[export_name = "canister_update drop"]
pub extern "C" fn remove() {
    let removed = INDEX.with(|index| index.borrow_mut().remove(argument().trim()));
    reply(&removed.to_string());
}

#[export_name = "canister_query find"]
pub extern "C" fn find() {
    let word = argument().to_lowercase();
    let titles = INDEX.with(|index| {
        let index = index.borrow();
        let titles = index.words.get(word.trim());
        titles.map(|t| t.iter().cloned().collect::<Vec<_>>().join(", ")).unwrap_or_default()
    });
    reply(&titles);
}

#[export_name = "canister_query top"]
pub extern "C" fn top() {
    let count: usize = argument().trim().parse().expect("a number");
    reply(&INDEX.with(|index| index.borrow().top(count)));
}

#[export_name = "canister_update fail"]
pub extern "C" fn fail() {
    INDEX.with(|index| {
        index.borrow_mut().add("lost", "words that must not stay");
        panic!("{}", argument());
    });
}
