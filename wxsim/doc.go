// Package wxsim plays WeChat Pay: merchants, wallets, orders, platform certificates and a network that fails, for tests, the
// demo and trial installs. It follows the documents of API v3 Global and shares no code with the client.
package wxsim
